import type { AddressGrant, AddressGrantsView } from '../control/index.ts';
import type { AddressKeys, CniVersion } from './configuration.ts';

/** The result of ADD in the caller's version; 0.x includes the family of each address. */
export function addResult(
	cniVersion: CniVersion,
	{ gateways, prefix, routes: configured }: AddressKeys,
	grants: readonly AddressGrant[],
): object {
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
		// A gateway is always given: `bridge` with isDefaultGateway adds another one otherwise.
		return [{ dst: family === 'ipv4' ? '0.0.0.0/0' : '::/0', ...(gateways[family] === 'auto' ? { gw: own } : {}) }];
	});
	const asksForRoutes = Object.values(gateways).includes('auto') && configured !== undefined;
	return { cniVersion, ips, routes: asksForRoutes ? configured : defaults, dns: {} };
}

/**
 * The result of ADD as the main plugin: the interface of the node, and the interface of the pod
 * with its addresses. The node's interface has no sandbox; portmap and bandwidth distinguish the
 * two by that. An address refers to its interface by index, the only form that runtimes accept.
 */
export function mainResult(
	cniVersion: CniVersion,
	{ ifname, namespace }: { readonly ifname: string; readonly namespace: string },
	grants: readonly AddressGrant[],
	{ hostName, mac }: NonNullable<AddressGrantsView['interface']>,
): object {
	return {
		cniVersion,
		interfaces: [{ name: hostName }, { name: ifname, mac, sandbox: namespace }],
		ips: grants.map(({ address, family }) => ({
			...(cniVersion.startsWith('0.') ? { version: family === 'ipv4' ? '4' : '6' } : {}),
			address: `${address}/${family === 'ipv4' ? 32 : 128}`,
			interface: 1,
		})),
		routes: [],
		dns: {},
	};
}
