import { canonicalAddress, type Family } from '../../core/index.ts';

const plainIpv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.|$)){4}$/;

/**
 * An address in canonical text; `undefined` where it is none. IPv4 text that is canonical already
 * costs no parsing.
 */
export function canonicalOrUndefined(text: string): string | undefined {
	if (plainIpv4.test(text)) return text;
	try {
		return canonicalAddress(text);
	} catch {
		return undefined;
	}
}

/** The family of an address in canonical text. */
export const familyOfAddress = (address: string): Family => (address.includes(':') ? 'ipv6' : 'ipv4');
