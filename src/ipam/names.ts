import { createHash } from 'node:crypto';
import { AddressError, type PrefixKey, prefixKey } from '../core/index.ts';

/** The longest name Calico gives an affinity: one below Kubernetes' 253. */
const mostNameLength = 252;

/** `10.0.0.0/26` is `10-0-0-0-26`, `fd00::/122` is `fd00---122`: the first three dots, the first seven colons and the slash. */
export function blockName(cidr: PrefixKey): string {
	return cidr.replaceAll('.', '-').replaceAll(':', '-').replace('/', '-');
}

/** The block that bears a name; `undefined` for a name that no block has. */
export function blockOfName(name: string): PrefixKey | undefined {
	const [, address = '', length = ''] = /^(.+)-(\d+)$/.exec(name) ?? [];
	for (const separator of ['.', ':']) {
		try {
			const cidr = prefixKey(`${address.replaceAll('-', separator)}/${length}`);
			if (blockName(cidr) === name) return cidr;
		} catch (error) {
			if (!(error instanceof AddressError)) throw error;
		}
	}
	return undefined;
}

/** The name of a node's claim to a block; where it would be too long, cut and made unique by a hash, as Calico does. */
export function affinityName(node: string, cidr: PrefixKey): string {
	const block = blockName(cidr);
	const name = `${node}-${block}`;
	if (name.length <= mostNameLength) return name;
	const hash = createHash('sha256').update(`${node}+${block}`).digest('hex').slice(0, 11);
	return `${node.slice(0, mostNameLength - block.length - 13)}-${block}-${hash}`;
}

/** The resource of a handle. */
export function handleName(handleId: string): string {
	return handleId.toLowerCase();
}

/** Can it be the name of a resource? RFC 1123 as Kubernetes has it, once in lower case; CNI lets names have more, such as `_`. */
export const isHandle = (handleId: string): boolean =>
	handleId.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(handleName(handleId));

/** The labels by which affinities are listed: without them Calico does not see one. */
export function affinityLabels(node: string, type: 'host' | 'virtual', cidr: PrefixKey): Readonly<Record<string, string>> {
	return {
		'projectcalico.org/hostname-hash': base32(createHash('sha3-256').update(node).digest()),
		'projectcalico.org/affinity-type': type,
		'projectcalico.org/ip-version': cidr.includes(':') ? '6' : '4',
	};
}

/** Handles written by an old migration carry a carriage return and what follows it; Calico cuts there. */
export function sanitizeHandle(handleId: string): string {
	return handleId.split('\r', 1)[0] ?? '';
}

/** The handle of a pod's addresses, as the CNI plugin makes it. */
export const podHandle = (network: string, containerId: string): string => `${network}.${containerId}`;

const gatewayPrefix = 'bgpmesh-gateway-';

/** The handle of the gateway that is set aside in a block: one of its own for each, without the dot that every pod's has. */
export const gatewayHandle = (cidr: PrefixKey): string => `${gatewayPrefix}${blockName(cidr)}`;

/** Is this the handle of some block's gateway? */
export const isGatewayHandle = (handleId: string | undefined): boolean => handleId?.startsWith(gatewayPrefix) === true;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 §6 without padding. */
function base32(bytes: Uint8Array): string {
	let text = '';
	let bits = 0;
	let value = 0;
	for (const byte of bytes) {
		value = ((value << 8) | byte) & 0xfff;
		bits += 8;
		while (bits >= 5) {
			bits -= 5;
			text += alphabet[(value >> bits) & 31];
		}
	}
	return bits > 0 ? text + alphabet[(value << (5 - bits)) & 31] : text;
}
