import { type Family, formatAddress, parseAddress } from '../core/index.ts';
import { type Link, type LinkAddress, type NewVxlan, RouteScope, type VxlanChange } from '../linux/index.ts';
import type { LocalEnd } from './types.ts';

/** The device of one family as it should be. */
export interface VxlanDevice {
	readonly name: string;
	readonly family: Family;
	readonly vni: number;
	readonly port: number;
	readonly mtuBytes: number;
	readonly local: LocalEnd;
}

/** One change to a device. */
export type VxlanStep =
	| { readonly type: 'create'; readonly device: NewVxlan }
	/** A device of that name differs in what can't be changed; `why` in words. */
	| { readonly type: 'remove'; readonly index: number; readonly why: string }
	/**
	 * Changes the device in place: its entries and the routes through it stay. `instead`: what to
	 * create where the kernel refuses that. `mayWait`: packets from the present address are still
	 * possible, and other nodes may not accept those from the new one yet.
	 */
	| {
			readonly type: 'change';
			readonly change: VxlanChange;
			readonly why: string;
			readonly mayWait: boolean;
			readonly instead: NewVxlan;
	  }
	| { readonly type: 'set'; readonly index: number; readonly mtuBytes?: number; readonly up?: true }
	| {
			readonly type: 'address';
			readonly verb: 'add' | 'remove';
			readonly address: LinkAddress;
	  }
	/** The node's address is on no interface: nothing can be done until it is. */
	| { readonly type: 'wait'; readonly why: string };

const sameBytes = (left: Uint8Array | undefined, right: Uint8Array): boolean =>
	left !== undefined && left.length === right.length && left.every((byte, index) => byte === right[index]);

/**
 * The steps from the interfaces as they are to the device as it should be; none: it is right. Pure.
 */
export function deviceSteps(
	wanted: VxlanDevice,
	links: readonly Link[],
	addresses: readonly LinkAddress[],
): VxlanStep[] {
	const local = parseAddress(wanted.local.nodeAddress).bytes;
	// Calico: the first link that has the node's address, of any length.
	const parent = addresses.find(({ address }) => sameBytes(address, local));
	if (parent === undefined)
		return [{ type: 'wait', why: `no interface has the node address ${wanted.local.nodeAddress}` }];
	const link = links.find(({ name }) => name === wanted.name);
	if (link === undefined) return [{ type: 'create', device: newDevice(wanted, local, parent.interfaceIndex) }];
	const device = newDevice(wanted, local, parent.interfaceIndex);
	const why = unlike(link, wanted, local);
	if (why !== undefined)
		return [
			{ type: 'remove', index: link.index, why },
			{ type: 'create', device },
		];
	const mtu = link.mtuBytes === wanted.mtuBytes ? {} : { mtuBytes: wanted.mtuBytes };
	const up = link.up ? {} : { up: true as const };
	const setting = 'mtuBytes' in mtu || 'up' in up;
	return [
		...changeSteps(link, device, addresses),
		...(setting ? [{ type: 'set' as const, index: link.index, ...mtu, ...up }] : []),
		...addressSteps(wanted, link.index, addresses),
	];
}

const newDevice = ({ name, vni, port, mtuBytes, local }: VxlanDevice, bytes: Uint8Array, parent: number): NewVxlan => ({
	name,
	id: vni,
	port,
	local: bytes,
	parentIndex: parent,
	learning: false,
	mac: local.mac,
	mtuBytes,
});

/**
 * Why a device has to be made anew, since these properties can't be changed in place; `undefined`:
 * it has not.
 */
function unlike({ kind, vxlan }: Link, { vni, port }: VxlanDevice, local: Uint8Array): string | undefined {
	if (kind !== 'vxlan' || vxlan === undefined) return `it is of kind ${kind ?? 'unknown'}`;
	if (vxlan.unusual) return 'it has a group, takes destinations from metadata or reports misses';
	if (vxlan.id !== vni) return `its VNI is ${vxlan.id}, not ${vni}`;
	if (vxlan.port !== port) return `its port is ${vxlan.port}, not ${port}`;
	if (vxlan.local?.length !== local.length) return 'it has no local address of its family';
	return undefined;
}

/** One change in place of all that differs; none: nothing does. */
function changeSteps({ index, vxlan, mac }: Link, device: NewVxlan, addresses: readonly LinkAddress[]): VxlanStep[] {
	const { local = new Uint8Array(), parentIndex } = device;
	const differences: readonly (readonly [why: string, change: Omit<VxlanChange, 'index'>])[] = [
		...(sameBytes(vxlan?.local, local) ? [] : [['local address', { local }] as const]),
		...(vxlan?.parentIndex === parentIndex ? [] : [['interface below', { parentIndex }] as const]),
		...(vxlan?.learning === true ? [['learning', { learning: false }] as const] : []),
		...(sameBytes(mac, device.mac) ? [] : [['MAC address', { mac: device.mac }] as const]),
	];
	const [first, ...more] = differences;
	if (first === undefined) return [];
	const isPresent = vxlan?.local !== undefined && addresses.some(({ address }) => sameBytes(vxlan.local, address));
	return [
		{
			type: 'change',
			change: Object.assign({ index }, ...differences.map(([, change]) => change)),
			why: `another ${differences.map(([why]) => why).join(', ')}`,
			mayWait: more.length === 0 && first[0] === 'local address' && isPresent,
			instead: device,
		},
	];
}

/**
 * The tunnel address alone; link-local addresses stay. The new address stands before the old one
 * goes.
 */
function addressSteps({ family, local }: VxlanDevice, index: number, addresses: readonly LinkAddress[]): VxlanStep[] {
	const wanted = local.tunnelAddress;
	if (wanted === undefined) return [];
	const full = family === 'ipv4' ? 32 : 128;
	const present = addresses.filter(
		(each) => each.interfaceIndex === index && each.family === family && each.scope === RouteScope.universe,
	);
	const isRight = ({ address, length }: LinkAddress) => length === full && formatAddress(address) === wanted;
	const add: LinkAddress = {
		family,
		address: parseAddress(wanted).bytes,
		length: full,
		interfaceIndex: index,
		scope: RouteScope.universe,
	};
	return [
		...(present.some(isRight) ? [] : [{ type: 'address' as const, verb: 'add' as const, address: add }]),
		...present
			.filter((each) => !isRight(each))
			.map((address) => ({ type: 'address' as const, verb: 'remove' as const, address })),
	];
}
