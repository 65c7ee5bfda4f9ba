import { formatAddress, parseAddress } from '../core/index.ts';
import { type Link, type LinkAddress, RouteScope } from '../linux/index.ts';

/** The desired tunnel device. */
export interface WantedDevice {
	readonly name: string;
	readonly mtuBytes: number;
	/**
	 * This node's tunnel addresses, canonical text; packets of the node itself to remote pods use
	 * the first as source. `undefined`: leave them unchanged.
	 */
	readonly addresses: readonly string[] | undefined;
}

/** One change to the device. */
export type DeviceStep =
	| { readonly type: 'create' }
	| { readonly type: 'set'; readonly mtuBytes?: number; readonly up?: true }
	| { readonly type: 'address'; readonly verb: 'add' | 'remove'; readonly address: string; readonly length: number };

/**
 * The steps from the actual to the desired device; none: it is correct. Only these properties of
 * this one device are changed.
 */
export function deviceSteps(
	wanted: WantedDevice,
	link: Link | undefined,
	addresses: readonly LinkAddress[],
): DeviceStep[] {
	if (link === undefined) return [{ type: 'create' }];
	const steps: DeviceStep[] = [];
	const mtu = link.mtuBytes === wanted.mtuBytes ? {} : { mtuBytes: wanted.mtuBytes };
	const up = link.up ? {} : { up: true as const };
	if ('mtuBytes' in mtu || 'up' in up) steps.push({ type: 'set', ...mtu, ...up });
	if (wanted.addresses === undefined) return steps;
	const { addresses: wantedAddresses } = wanted;
	const present = addresses
		.filter(
			({ interfaceIndex, family, scope }) =>
				interfaceIndex === link.index && family === 'ipv4' && scope === RouteScope.universe,
		)
		.map(({ address, length }) => ({ address: formatAddress(address), length }));
	const isRight = ({ address, length }: { address: string; length: number }) =>
		length === 32 && wantedAddresses.includes(address);
	const right = present.filter(isRight).map(({ address }) => address);
	// The new address is added before the old one is removed.
	for (const address of wantedAddresses)
		if (!right.includes(address)) steps.push({ type: 'address', verb: 'add', address, length: 32 });
	for (const each of present) if (!isRight(each)) steps.push({ type: 'address', verb: 'remove', ...each });
	return steps;
}

/** The parameters for adding or removing an address of an interface. */
export function linkAddress(interfaceIndex: number, address: string, length: number): LinkAddress {
	const { family, bytes } = parseAddress(address);
	return { family, address: bytes, length, interfaceIndex, scope: RouteScope.universe };
}
