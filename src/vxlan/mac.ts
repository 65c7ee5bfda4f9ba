import { createHash } from 'node:crypto';
import type { Family } from '../core/index.ts';

/**
 * The MAC address of a node's VXLAN device where no annotation gives another: `f` and the first
 * five bytes of SHA-1 over the node's name, for IPv6 over the name and `-v6`. Both ends compute it
 * (Calico: felix calc/vxlan_resolver).
 */
export function macOf(node: string, family: Family): Uint8Array {
	const digest = createHash('sha1')
		.update(family === 'ipv4' ? node : `${node}-v6`)
		.digest();
	return Uint8Array.of(0x66, ...digest.subarray(0, 5));
}

/** `66:07:02:c1:cc:60`. */
export const macText = (mac: Uint8Array): string =>
	[...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

/** The six bytes of a MAC address as text; `undefined` where it is none. */
export function parseMac(text: string): Uint8Array | undefined {
	const parts = text.trim().split(':');
	if (parts.length !== 6 || !parts.every((part) => /^[0-9a-fA-F]{1,2}$/.test(part))) return undefined;
	return Uint8Array.from(parts, (part) => Number.parseInt(part, 16));
}
