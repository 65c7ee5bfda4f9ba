import {
	type Address,
	canonicalAddress,
	type Encapsulate,
	type Encapsulation,
	type Prefix,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
	prefixCovers,
} from '../core/index.ts';
import type { InterfaceAddress, TunnelPool } from './types.ts';

/** What decides how a packet leaves. */
export interface EncapsulationInputs {
	readonly interfaces: readonly InterfaceAddress[];
	readonly pools: readonly TunnelPool[];
	readonly tunnelDevice: string;
}

interface Subnet {
	readonly device: string;
	readonly prefix: Prefix;
	readonly own: string;
}

/**
 * How packets for a prefix leave towards a next hop, as Calico does it: inside of a pool by its `ipipMode`, where "same
 * subnet" means that an interface of ours has an address in the next hop's subnet; outside of all pools without a tunnel.
 */
export function encapsulation({ interfaces, pools, tunnelDevice }: EncapsulationInputs): Encapsulate {
	const subnets = interfaces.filter(({ device }) => device !== tunnelDevice && device !== 'lo').map(subnetOf);
	const own = new Set(interfaces.map((each) => subnetOf(each).own));
	const parsedPools = pools.map((pool) => ({ pool, prefix: parsePrefix(pool.cidr) }));
	// Next hops are few and prefixes many.
	const devices = new Map<string, string | undefined>();
	const deviceTo = (nextHop: string) => {
		if (!devices.has(nextHop)) devices.set(nextHop, connectedDevice(subnets, parseAddress(nextHop)));
		return devices.get(nextHop);
	};
	return (prefix, nextHop) => {
		if (own.has(nextHop)) return { type: 'none', reason: `the next hop ${nextHop} is this node itself` };
		const pool = poolOf(parsedPools, prefix);
		if (pool?.foreign !== undefined) return { type: 'none', reason: pool.foreign };
		return decide(pool, deviceTo(nextHop), nextHop, tunnelDevice);
	};
}

function decide(pool: TunnelPool | undefined, device: string | undefined, nextHop: string, tunnelDevice: string): Encapsulation {
	const direct: Encapsulation = device === undefined ? { type: 'direct' } : { type: 'direct', device };
	const mode = pool?.ipipMode ?? 'Never';
	switch (mode) {
		case 'Never':
			return direct;
		case 'CrossSubnet':
			if (device !== undefined) return direct;
			break;
		case 'Always':
			break;
		default:
			mode satisfies never;
	}
	// ipip carries IPv4 in IPv4 alone.
	if (nextHop.includes(':') || pool?.cidr.includes(':')) return { type: 'none', reason: `pool ${pool?.cidr} asks for IP in IP, which carries IPv4 alone` };
	return { type: 'tunnel', device: tunnelDevice };
}

/** The most specific pool that covers a prefix. */
function poolOf(pools: readonly { readonly pool: TunnelPool; readonly prefix: Prefix }[], key: PrefixKey): TunnelPool | undefined {
	if (pools.length === 0) return undefined;
	const prefix = parsePrefix(key);
	let found: { readonly pool: TunnelPool; readonly prefix: Prefix } | undefined;
	for (const each of pools) if (prefixCovers(each.prefix, prefix) && each.prefix.length > (found?.prefix.length ?? -1)) found = each;
	return found?.pool;
}

/** The interface in whose subnet an address is; the most specific subnet, then the first interface. */
function connectedDevice(subnets: readonly Subnet[], address: Address): string | undefined {
	let found: Subnet | undefined;
	for (const subnet of subnets) {
		if (prefixContains(subnet.prefix, address) && subnet.prefix.length > (found?.prefix.length ?? -1)) found = subnet;
	}
	return found?.device;
}

function subnetOf({ device, address }: InterfaceAddress): Subnet {
	const text = address.slice(0, address.indexOf('/'));
	return { device, prefix: parsePrefix(address, 'clear'), own: canonicalAddress(text) };
}
