import type { OutsideInterface } from '../../ebpf/index.ts';
import { type Link, type LinkAddress, readSetting, writeSetting } from '../../linux/index.ts';
import { isDirectDevice } from '../../vxlan/index.ts';

/**
 * Kinds of interfaces that lead to no client outside: tunnels of ours and of others, and places for
 * addresses.
 */
const insideKinds: ReadonlySet<string | undefined> = new Set([
	...['ipip', 'ip6tnl', 'sit', 'gre', 'vxlan', 'geneve', 'wireguard', 'dummy', 'tun', 'nlmon', 'ifb'],
]);
const globalScope = 0;

/**
 * The interfaces that clients outside of the cluster come by: those with an Ethernet header that
 * have an address which other hosts reach; or those of these names. Pure.
 */
export function outsideInterfaces(
	links: readonly Link[],
	addresses: readonly LinkAddress[],
	names: readonly string[] | undefined,
): OutsideInterface[] {
	const reachable = new Set(
		addresses.filter(({ scope }) => scope === globalScope).map(({ interfaceIndex }) => interfaceIndex),
	);
	return links
		.filter(({ index, name, up, loopback, kind, mac }) => {
			if (loopback || mac?.length !== 6) return false;
			return names === undefined ? up && !insideKinds.has(kind) && reachable.has(index) : names.includes(name);
		})
		.map(({ index, name }) => ({ index, name }));
}

/** The device of direct server return. Pure. */
export const findDevice = (links: readonly Link[]): OutsideInterface | undefined => {
	const link = links.find(({ name, kind }) => kind === 'vxlan' && isDirectDevice(name));
	return link && { index: link.index, name: link.name };
};

/** Packets have the addresses of clients, which are reached by another interface. */
export function permitSources(device: string): void {
	const path = `net/ipv4/conf/${device}/rp_filter`;
	if (readSetting(path) !== '0') writeSetting(path, '0');
}
