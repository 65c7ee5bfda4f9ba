import type { AddressGrant } from '../control/index.ts';
import type { AddressKeys, CniVersion } from './configuration.ts';

/** What ADD answers, in the shape of the caller's version: 0.x names the family of each address. */
export function addResult(cniVersion: CniVersion, { gateways, prefix, routes: configured }: AddressKeys, grants: readonly AddressGrant[]): object {
	const ips = grants.map(({ address, family, block, gateway: own }) => {
		const isAuto = gateways[family] === 'auto';
		const gateway = isAuto ? own : gateways[family];
		const length = isAuto || prefix === 'block' ? block.split('/')[1] : family === 'ipv4' ? '32' : '128';
		return {
			...(cniVersion.startsWith('0.') ? { version: family === 'ipv4' ? '4' : '6' } : {}),
			address: `${address}/${length}`,
			...(gateway === undefined ? {} : { gateway }),
		};
	});
	const defaults = grants.flatMap(({ family, gateway: own }) => {
		if (gateways[family] === undefined) return [];
		// Named with its gateway: `bridge` with isDefaultGateway adds another to one without.
		return [{ dst: family === 'ipv4' ? '0.0.0.0/0' : '::/0', ...(gateways[family] === 'auto' ? { gw: own } : {}) }];
	});
	const asksForRoutes = Object.values(gateways).includes('auto') && configured !== undefined;
	return { cniVersion, ips, routes: asksForRoutes ? configured : defaults, dns: {} };
}
