import type { Family } from '../core/index.ts';

/** A value for a file below /proc/sys/net. `optional`: a kernel that refuses it does without. */
export interface Setting {
	readonly path: string;
	readonly value: string;
	readonly optional: boolean;
}

/**
 * Settings of the node's end, before it is set up, as Calico's plugin and Felix have them.
 * `rpFilter` is what `conf/default` of the node has. route_localnet lets portmap serve 127.0.0.1;
 * proxy_delay=0 lets the first ARP request be answered at once.
 */
export function hostSettings(name: string, families: readonly Family[], rpFilter: string): readonly Setting[] {
	const ipv4 = (path: string, value: string, optional = false) => ({ path: `ipv4/${path}`, value, optional });
	const ipv6 = (path: string, value: string, optional = false) => ({ path: `ipv6/${path}`, value, optional });
	return [
		...(families.includes('ipv4')
			? [
					ipv4(`conf/${name}/route_localnet`, '1'),
					ipv4(`neigh/${name}/proxy_delay`, '0', true),
					ipv4(`conf/${name}/proxy_arp`, '1'),
					ipv4(`conf/${name}/forwarding`, '1'),
					ipv4(`conf/${name}/rp_filter`, rpFilter),
				]
			: []),
		...(families.includes('ipv6')
			? [
					ipv6(`conf/${name}/disable_ipv6`, '0'),
					ipv6(`conf/${name}/accept_dad`, '0'),
					ipv6(`conf/${name}/proxy_ndp`, '1'),
					ipv6(`conf/${name}/forwarding`, '1'),
				]
			: []),
		ipv6(`conf/${name}/accept_ra`, '0', true),
	];
}

/**
 * Settings of the pod's namespace, before its end is set up. Forwarding is left alone: a pod may
 * set it itself.
 */
export function podSettings(ifname: string, families: readonly Family[]): readonly Setting[] {
	if (!families.includes('ipv6')) return [];
	return [
		...['all', 'default', 'lo'].map((scope) => ({
			path: `ipv6/conf/${scope}/disable_ipv6`,
			value: '0',
			optional: true,
		})),
		{ path: `ipv6/conf/${ifname}/disable_ipv6`, value: '0', optional: false },
		// The address is the pod's alone: duplicate address detection would delay its first packet by a
		// second.
		{ path: `ipv6/conf/${ifname}/accept_dad`, value: '0', optional: false },
	];
}
