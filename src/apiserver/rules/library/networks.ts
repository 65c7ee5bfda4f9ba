import type { Environment } from '@marcbachmann/cel-js';
import {
	type Address,
	AddressError,
	familyOf,
	formatAddress,
	isIpv4Mapped,
	type Prefix,
	parseAddress,
	parsePrefix,
	prefixContains,
	prefixCovers,
} from '../../../core/index.ts';

/** The CEL value of an IP address. */
class IP {
	readonly address: Address;
	constructor(address: Address) {
		this.address = address;
	}
}

/** The CEL value of a prefix; host bits may be set. */
class CIDR {
	readonly address: Address;
	readonly prefix: Prefix;
	constructor(address: Address, prefix: Prefix) {
		this.address = address;
		this.prefix = prefix;
	}
}

/** @throws AddressError, also for IPv4-mapped IPv6 addresses */
function readAddress(text: string): IP {
	const address = parseAddress(text);
	if (isIpv4Mapped(address.bytes)) throw new AddressError(text, 'IPv4-mapped IPv6 address is not allowed');
	return new IP(address);
}

function readPrefix(text: string): CIDR {
	return new CIDR(readAddress(text.split('/')[0] ?? '').address, parsePrefix(text, 'clear'));
}

const reads = (read: (text: string) => unknown, text: string): boolean => {
	try {
		read(text);
		return true;
	} catch {
		return false;
	}
};

const inside = (text: string) => {
	const prefix = parsePrefix(text);
	return ({ address }: IP) => familyOf(address.bytes) === familyOf(prefix.bytes) && prefixContains(prefix, address);
};
const any =
	(...tests: readonly ((ip: IP) => boolean)[]) =>
	(ip: IP) =>
		tests.some((test) => test(ip));
const isUnspecified = any(inside('0.0.0.0/32'), inside('::/128'));
const isLoopback = any(inside('127.0.0.0/8'), inside('::1/128'));
const isLinkLocalMulticast = any(inside('224.0.0.0/24'), inside('ff02::/16'));
const isLinkLocalUnicast = any(inside('169.254.0.0/16'), inside('fe80::/10'));
const isMulticast = any(inside('224.0.0.0/4'), inside('ff00::/8'));
const isBroadcast = inside('255.255.255.255/32');
const isGlobalUnicast = (ip: IP): boolean =>
	![isUnspecified, isLoopback, isMulticast, isLinkLocalUnicast, isBroadcast].some((test) => test(ip));

const contains = (outer: Prefix, inner: Prefix): boolean => outer.family === inner.family && prefixCovers(outer, inner);
const holds = (prefix: Prefix, { address }: IP): boolean =>
	prefix.family === familyOf(address.bytes) && prefixContains(prefix, address);
const textOf = ({ address, prefix }: CIDR): string => `${formatAddress(address.bytes)}/${prefix.length}`;
const versionOf = (bytes: Uint8Array): bigint => (familyOf(bytes) === 'ipv4' ? 4n : 6n);

/** Kubernetes' `ip()` and `cidr()`, and `url()`. */
export function registerNetworks(environment: Environment): void {
	const add = (signature: string, handler: (...values: never[]) => unknown) =>
		environment.registerFunction(signature, handler as (...values: unknown[]) => unknown);
	environment.registerType('net.IP', IP).registerType('net.CIDR', CIDR).registerType('URL', Url);
	environment.registerOperator(
		'net.IP == net.IP',
		(one: IP, other: IP) => formatAddress(one.address.bytes) === formatAddress(other.address.bytes),
	);
	environment.registerOperator('net.CIDR == net.CIDR', (one: CIDR, other: CIDR) => textOf(one) === textOf(other));
	add('isIP(string): bool', (text: string) => reads(readAddress, text));
	add('ip(string): net.IP', readAddress);
	add('string(net.IP): string', ({ address }: IP) => formatAddress(address.bytes));
	add('net.IP.family(): int', ({ address }: IP) => versionOf(address.bytes));
	add('net.IP.isUnspecified(): bool', isUnspecified);
	add('net.IP.isLoopback(): bool', isLoopback);
	add('net.IP.isLinkLocalMulticast(): bool', isLinkLocalMulticast);
	add('net.IP.isLinkLocalUnicast(): bool', isLinkLocalUnicast);
	add('net.IP.isGlobalUnicast(): bool', isGlobalUnicast);
	add('isCIDR(string): bool', (text: string) => reads(readPrefix, text));
	add('cidr(string): net.CIDR', readPrefix);
	add('string(net.CIDR): string', textOf);
	add('net.CIDR.containsIP(net.IP): bool', ({ prefix }: CIDR, ip: IP) => holds(prefix, ip));
	add('net.CIDR.containsIP(string): bool', ({ prefix }: CIDR, text: string) => holds(prefix, readAddress(text)));
	add('net.CIDR.containsCIDR(net.CIDR): bool', ({ prefix }: CIDR, inner: CIDR) => contains(prefix, inner.prefix));
	add('net.CIDR.containsCIDR(string): bool', ({ prefix }: CIDR, text: string) =>
		contains(prefix, readPrefix(text).prefix),
	);
	add('net.CIDR.ip(): net.IP', ({ address }: CIDR) => new IP(address));
	add('net.CIDR.masked(): net.CIDR', ({ prefix }: CIDR) => new CIDR(prefix, prefix));
	add('net.CIDR.prefixLength(): int', ({ prefix }: CIDR) => BigInt(prefix.length));
	add('isURL(string): bool', (text: string) => reads(readUrl, text));
	add('url(string): URL', readUrl);
	add('URL.getScheme(): string', ({ scheme }: Url) => scheme);
	add('URL.getHost(): string', ({ host }: Url) => host);
	add('URL.getHostname(): string', ({ host }: Url) => host.replace(/:\d*$/, '').replace(/^\[|\]$/g, ''));
	add('URL.getPort(): string', ({ host }: Url) => /:(\d*)$/.exec(host)?.[1] ?? '');
	add('URL.getQuery(): map<string, list<string>>', ({ query }: Url) => {
		const parameters = new URLSearchParams(query);
		return new Map([...parameters.keys()].map((key) => [key, parameters.getAll(key)]));
	});
	add('URL.getEscapedPath(): string', ({ path }: Url) => encodeURI(path).replaceAll('%25', '%'));
}

/** A URL as written, without the normalization of browsers. */
class Url {
	readonly scheme: string;
	readonly host: string;
	readonly path: string;
	readonly query: string;
	constructor(scheme: string, host: string, path: string, query: string) {
		this.scheme = scheme;
		this.host = host;
		this.path = path;
		this.query = query;
	}
}

/** Parses an absolute URL or an absolute path. @throws Error */
function readUrl(text: string): Url {
	const [, scheme = '', host = '', path = '', query = ''] =
		/^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/(?:[^@/?#]*@)?([^/?#\s]*))?([^?#]*)(?:\?(.*))?$/.exec(text) ?? [];
	if (scheme !== '' || path.startsWith('/')) return new Url(scheme, host, path, query);
	throw new Error(
		`URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
	);
}
