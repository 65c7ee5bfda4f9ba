import { formatAddress, parseAddress } from '../core/index.ts';
import { type Link, type LinkAddress, RouteScope } from '../linux/index.ts';

/** How the tunnel device should be. */
export interface WantedDevice {
	readonly name: string;
	readonly mtuBytes: number;
	/** This node's tunnel addresses, canonical text; packets of the node itself to remote pods carry the first as source. `undefined`: leave them. */
	readonly addresses: readonly string[] | undefined;
}

/** One change to the device. */
export type DeviceStep =
	| { readonly type: 'create' }
	| { readonly type: 'set'; readonly mtuBytes?: number; readonly up?: true }
	| { readonly type: 'address'; readonly verb: 'add' | 'remove'; readonly address: string; readonly length: number };

/** What the outer header of IP in IP takes. */
const outerHeaderBytes = 20;
/** What the kernel gives tunl0: an Ethernet of 1500. */
const usualMtuBytes = 1480;

/** The steps from what is to what should be; none: it is right. Nothing but these properties of this one device is touched. */
export function deviceSteps(wanted: WantedDevice, link: Link | undefined, addresses: readonly LinkAddress[]): DeviceStep[] {
	if (link === undefined) return [{ type: 'create' }];
	const steps: DeviceStep[] = [];
	const mtu = link.mtuBytes === wanted.mtuBytes ? {} : { mtuBytes: wanted.mtuBytes };
	const up = link.up ? {} : { up: true as const };
	if ('mtuBytes' in mtu || 'up' in up) steps.push({ type: 'set', ...mtu, ...up });
	if (wanted.addresses === undefined) return steps;
	const { addresses: wantedAddresses } = wanted;
	const present = addresses
		.filter(({ interfaceIndex, family, scope }) => interfaceIndex === link.index && family === 'ipv4' && scope === RouteScope.universe)
		.map(({ address, length }) => ({ address: formatAddress(address), length }));
	const isRight = ({ address, length }: { address: string; length: number }) => length === 32 && wantedAddresses.includes(address);
	const right = present.filter(isRight).map(({ address }) => address);
	// The new address stands before the old one goes.
	for (const address of wantedAddresses) if (!right.includes(address)) steps.push({ type: 'address', verb: 'add', address, length: 32 });
	for (const each of present) if (!isRight(each)) steps.push({ type: 'address', verb: 'remove', ...each });
	return steps;
}

/** Devices that carry no traffic between nodes; Calico leaves out the same ones when it looks for the node's address. */
const notBetweenNodes = /^(docker|cbr|dummy|podman|virbr|lxcbr|lo$|br-|cali|tunl|flannel|kube-ipvs|cni|vxlan|wireguard|wg|nodelocaldns)/;
const tunnelKinds = new Set(['ipip', 'sit', 'gre', 'vxlan', 'wireguard', 'tun', 'ip6tnl']);

/** The MTU of the tunnel: the least of the interfaces between nodes, less the outer header. */
export function tunnelMtuBytes(links: readonly Link[], addresses: readonly LinkAddress[]): number {
	const addressed = new Set(
		addresses
			.filter(({ family, scope, length }) => family === 'ipv4' && scope === RouteScope.universe && length < 32)
			.map(({ interfaceIndex }) => interfaceIndex),
	);
	const between = links.filter(
		({ index, name, up, loopback, kind }) => up && !loopback && addressed.has(index) && !notBetweenNodes.test(name) && !tunnelKinds.has(kind ?? ''),
	);
	const least = Math.min(...between.map(({ mtuBytes }) => mtuBytes));
	return Number.isFinite(least) ? least - outerHeaderBytes : usualMtuBytes;
}

/** What the kernel needs to know to add or remove an address of an interface. */
export function linkAddress(interfaceIndex: number, address: string, length: number): LinkAddress {
	const { family, bytes } = parseAddress(address);
	return { family, address: bytes, length, interfaceIndex, scope: RouteScope.universe };
}
