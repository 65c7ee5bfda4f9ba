import type { AddressGrant } from '../control/index.ts';
import type { NetworkConfiguration } from './configuration.ts';

/** What ADD answers, in the shape of the caller's version: 0.x names the family of each address. */
export function addResult({ cniVersion, gateways, prefix }: NetworkConfiguration, grants: readonly AddressGrant[]): object {
	const ips = grants.map(({ address, family, block }) => {
		const gateway = gateways[family];
		const length = prefix === 'block' ? block.split('/')[1] : family === 'ipv4' ? '32' : '128';
		return {
			...(cniVersion.startsWith('0.') ? { version: family === 'ipv4' ? '4' : '6' } : {}),
			address: `${address}/${length}`,
			...(gateway === undefined ? {} : { gateway }),
		};
	});
	const routes = grants.flatMap(({ family }) => (gateways[family] === undefined ? [] : [{ dst: family === 'ipv4' ? '0.0.0.0/0' : '::/0' }]));
	return { cniVersion, ips, routes, dns: {} };
}
