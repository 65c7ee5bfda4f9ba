import { createHash } from 'node:crypto';
import { AddressError, type PrefixKey, prefixKey } from '../core/index.ts';

/** Calico's longest name of an affinity: one less than Kubernetes' 253. */
const mostNameLength = 252;

/**
 * The resource name of a block: `10.0.0.0/26` becomes `10-0-0-0-26`, `fd00::/122` becomes
 * `fd00---122`. Replaces the first three dots, the first seven colons and the slash.
 */
export function blockName(cidr: PrefixKey): string {
	return cidr.replaceAll('.', '-').replaceAll(':', '-').replace('/', '-');
}

/** The block of a resource name; `undefined` if the name is no block name. */
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

/**
 * The resource name of a node's affinity to a block. A name that is too long is cut and made unique
 * by a hash, as in Calico.
 */
export function affinityName(node: string, cidr: PrefixKey): string {
	const block = blockName(cidr);
	const name = `${node}-${block}`;
	if (name.length <= mostNameLength) return name;
	const hash = createHash('sha256').update(`${node}+${block}`).digest('hex').slice(0, 11);
	return `${node.slice(0, mostNameLength - block.length - 13)}-${block}-${hash}`;
}

/** The resource name of a handle. */
export function handleName(handleId: string): string {
	return handleId.toLowerCase();
}

/**
 * True if the handle in lower case is a valid resource name: RFC 1123 as in Kubernetes. CNI names
 * allow more characters, such as `_`.
 */
export const isHandle = (handleId: string): boolean =>
	handleId.length <= 253 &&
	/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(handleName(handleId));

/** The labels by which Calico lists affinities: it does not find an affinity without them. */
export function affinityLabels(
	node: string,
	type: 'host' | 'virtual',
	cidr: PrefixKey,
): Readonly<Record<string, string>> {
	return {
		'projectcalico.org/hostname-hash': base32(createHash('sha3-256').update(node).digest()),
		'projectcalico.org/affinity-type': type,
		'projectcalico.org/ip-version': cidr.includes(':') ? '6' : '4',
	};
}

/** An old migration wrote handles with a carriage return and trailing text; Calico removes both. */
export function sanitizeHandle(handleId: string): string {
	return handleId.split('\r', 1)[0] ?? '';
}

/** The handle of a pod's addresses, as the CNI plugin builds it. */
export const podHandle = (network: string, containerId: string): string => `${network}.${containerId}`;

const gatewayPrefix = 'bgpmesh-gateway-';

/** The handle of a block's gateway: unique per block, and without the dot of pod handles. */
export const gatewayHandle = (cidr: PrefixKey): string => `${gatewayPrefix}${blockName(cidr)}`;

/** True for the handle of a block's gateway. */
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
