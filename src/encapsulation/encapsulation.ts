import {
	type Address,
	canonicalAddress,
	type Encapsulate,
	type Encapsulation,
	type Family,
	type Prefix,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
	prefixCovers,
} from '../core/index.ts';
import type { InterfaceAddress, TunnelAddresses, TunnelMode, TunnelPool } from './types.ts';

/** Everything that decides how a packet leaves. */
export interface EncapsulationInputs {
	readonly interfaces: readonly InterfaceAddress[];
	readonly pools: readonly TunnelPool[];
	/** The IP-in-IP device. */
	readonly tunnelDevice: string;
	/** The VXLAN device of each family. */
	readonly vxlanDevices?: Readonly<Record<Family, string>>;
	/**
	 * The routes that follow from block affinities are known; before that a route that stands in
	 * their place stays. Default `true`.
	 */
	readonly datastoreKnown?: boolean;
	/** VXLAN tunnel addresses of remote nodes, by node address (canonical text). */
	readonly vxlanTunnels?: ReadonlyMap<string, TunnelAddresses>;
}

interface Subnet {
	readonly device: string;
	readonly prefix: Prefix;
	readonly own: string;
}

interface ParsedPool {
	readonly pool: TunnelPool;
	readonly prefix: Prefix;
}

const defaultVxlanDevices = { ipv4: 'vxlan.calico', ipv6: 'vxlan-v6.calico' } as const;
const noTunnels: ReadonlyMap<string, TunnelAddresses> = new Map();

/** Is this one of the tunnel devices? Their addresses are not subnets shared with other nodes. */
export const familyDevice = (devices: Readonly<Record<Family, string>>, name: string): boolean =>
	name === devices.ipv4 || name === devices.ipv6;

/**
 * How packets for a prefix leave towards a next hop, as Calico does it. Inside of a pool its mode
 * decides: VXLAN before IP in IP, and with `CrossSubnet` direct where an interface of this node has
 * an address in the next hop's subnet. Outside of all pools direct. Of nested pools the most
 * specific one counts. A VXLAN destination without a known tunnel address gets no route: its
 * packets must not leave unencapsulated.
 */
export function encapsulation({
	interfaces,
	pools,
	tunnelDevice,
	vxlanDevices = defaultVxlanDevices,
	vxlanTunnels = noTunnels,
	datastoreKnown = true,
}: EncapsulationInputs): Encapsulate {
	const isTunnel = (device: string) => device === tunnelDevice || familyDevice(vxlanDevices, device);
	const subnets = interfaces.filter(({ device }) => !isTunnel(device) && device !== 'lo').map(subnetOf);
	const own = new Set(interfaces.map((each) => subnetOf(each).own));
	const parsedPools = pools.map((pool) => ({ pool, prefix: parsePrefix(pool.cidr) }));
	// Next hops are few and prefixes many.
	const devices = new Map<string, string | undefined>();
	const deviceTo = (nextHop: string) => {
		if (!devices.has(nextHop)) devices.set(nextHop, connectedDevice(subnets, parseAddress(nextHop)));
		return devices.get(nextHop);
	};
	return (prefix, nextHop, source = 'bgp') => {
		if (own.has(nextHop)) return { type: 'none', reason: `the next hop ${nextHop} is this node itself` };
		const pool = poolOf(parsedPools, prefix);
		if (pool?.foreign !== undefined) return { type: 'none', reason: pool.foreign };
		if (pool?.routesFromDatastore === true && source === 'bgp')
			return {
				type: 'none',
				reason: `routes of VXLAN pool ${pool.cidr} follow from block affinities, not from BGP`,
				...(datastoreKnown ? {} : { pending: true }),
			};
		const device = deviceTo(nextHop);
		if (pool === undefined) return direct(device);
		const vxlanMode = pool.vxlanMode ?? 'Never';
		if (vxlanMode !== 'Never') {
			if (!needsTunnel(vxlanMode, device)) return direct(device);
			const family: Family = prefix.includes(':') ? 'ipv6' : 'ipv4';
			const via = vxlanTunnels.get(nextHop)?.[family];
			return via === undefined
				? { type: 'none', reason: `VXLAN tunnel address of ${nextHop} unknown, route withheld`, pending: true }
				: { type: 'vxlan', device: vxlanDevices[family], via };
		}
		if (!needsTunnel(pool.ipipMode, device)) return direct(device);
		// RFC 2003 carries IPv4 in IPv4 alone.
		if (nextHop.includes(':') || pool.cidr.includes(':'))
			return { type: 'none', reason: `pool ${pool.cidr} asks for IP in IP, which carries IPv4 alone` };
		return { type: 'ipip', device: tunnelDevice };
	};
}

const direct = (device: string | undefined): Encapsulation =>
	device === undefined ? { type: 'direct' } : { type: 'direct', device };

/** Does a mode ask for its tunnel, where the next hop is on a link of `device` (or on none)? */
function needsTunnel(mode: TunnelMode, device: string | undefined): boolean {
	switch (mode) {
		case 'Never':
			return false;
		case 'CrossSubnet':
			return device === undefined;
		case 'Always':
			return true;
		default:
			return mode satisfies never;
	}
}

/** The most specific pool that covers a prefix; of two with the same CIDR the first. */
function poolOf(pools: readonly ParsedPool[], key: PrefixKey): TunnelPool | undefined {
	if (pools.length === 0) return undefined;
	const prefix = parsePrefix(key);
	let found: ParsedPool | undefined;
	for (const each of pools)
		if (prefixCovers(each.prefix, prefix) && each.prefix.length > (found?.prefix.length ?? -1)) found = each;
	return found?.pool;
}

/**
 * The interface in whose subnet an address is; the most specific subnet, then the first interface.
 */
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
