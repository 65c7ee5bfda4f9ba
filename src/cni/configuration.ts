import type { AddressGrant, CniInterface } from '../control/index.ts';
import { CniCode, CniError } from './errors.ts';

/** The supported versions of the CNI specification, oldest first. */
export const cniVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof cniVersions)[number];

/** True for a supported version. */
export const speaks = (version: unknown): version is CniVersion => cniVersions.some((known) => known === version);

/** The specification's syntax of a network name and of a container ID. */
export const isCniName = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(text);

/**
 * The network configuration on standard input, with the fields that every verb uses. A verb reads
 * its own fields itself, so that an invalid field of another verb does not block DEL.
 */
export interface NetworkConfiguration {
	readonly cniVersion: CniVersion;
	readonly name: string;
	/** Path of the daemon's control socket. */
	readonly socket: string;
	/** The complete configuration. */
	readonly document: Json;
}

/**
 * The request of ADD. The keys are those of calico-ipam; `gateway`, `routes` and `prefix` are ours.
 */
export interface AddressKeys {
	readonly assignIpv4: boolean;
	readonly assignIpv6: boolean;
	readonly ipv4Pools: readonly string[];
	readonly ipv6Pools: readonly string[];
	/** Requested addresses without prefix lengths: `args.cni.ips`, then the `ips` capability. */
	readonly wantedAddresses: readonly string[];
	/**
	 * The gateway in the result, by family. `auto`: an address inside the block, from the daemon;
	 * `undefined`: none.
	 */
	readonly gateways: Readonly<Record<AddressGrant['family'], string | undefined>>;
	/**
	 * The routes in the result, in place of a default route by each gateway; `undefined`: not
	 * configured.
	 */
	readonly routes: readonly Json[] | undefined;
	/**
	 * Prefix length in the result. `host`: /32 and /128, as Calico; `block`: the block's length,
	 * always used with a gateway from the daemon.
	 */
	readonly prefix: 'host' | 'block';
}

const defaultSocket = '/run/bgpmesh/bgpmesh.sock';

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

/** Parses standard input. @throws CniError */
export function parseConfiguration(text: string): NetworkConfiguration {
	const config = decode(text);
	const version = config['cniVersion'] ?? '0.3.1';
	if (!speaks(version))
		throw new CniError(
			CniCode.incompatibleVersion,
			`cniVersion ${JSON.stringify(version)} is not supported`,
			`this plugin speaks ${cniVersions.join(', ')}`,
		);
	const name = config['name'];
	if (typeof name !== 'string' || name === '')
		throw new CniError(
			CniCode.invalidConfiguration,
			'the network configuration has no name',
			'set "name" in the conflist',
		);
	// The specification's syntax is required because the name becomes part of a resource name.
	if (!isCniName(name))
		throw new CniError(
			CniCode.invalidConfiguration,
			`the network's name is '${name}'`,
			'expected letters, digits, _ . -, beginning with a letter or digit',
		);
	return {
		cniVersion: version,
		name,
		socket: textOf(ipamOf(config), 'socket') ?? defaultSocket,
		document: config,
	};
}

/**
 * The interface to create as the main plugin (`type: bgpmesh`); `undefined` if another main plugin
 * makes the call. @throws CniError
 */
export function interfaceOf({ document }: NetworkConfiguration, namespace: string): CniInterface | undefined {
	if (document['type'] !== mainType) return undefined;
	const mtu = document['mtu'];
	if (mtu !== undefined && (typeof mtu !== 'number' || !Number.isInteger(mtu) || mtu < 0 || mtu > 65535))
		throw new CniError(
			CniCode.invalidConfiguration,
			`mtu is ${JSON.stringify(mtu)}`,
			'expected bytes, or 0 for what the overlay leaves',
		);
	const mac = [
		['runtimeConfig', 'mac'],
		['args', 'cni', 'mac'],
	]
		.map((path) => path.reduce<unknown>((outer, key) => (isObject(outer) ? outer[key] : undefined), document))
		.find((value) => value !== undefined && value !== '');
	if (mac !== undefined && (typeof mac !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)))
		throw new CniError(
			CniCode.invalidConfiguration,
			`mac is ${JSON.stringify(mac)}`,
			'expected a hardware address as 02:00:00:00:00:01',
		);
	return {
		namespace,
		...(mtu === undefined || mtu === 0 ? {} : { mtuBytes: mtu }),
		...(mac === undefined ? {} : { mac }),
	};
}

/** The `type` of the network configuration that makes this plugin the main plugin. */
const mainType = 'bgpmesh';

/** The section of the configuration for IPAM plugins; if absent, all defaults apply. */
function ipamOf(config: Json): Json {
	const ipam = config['ipam'] ?? {};
	if (!isObject(ipam))
		throw new CniError(
			CniCode.invalidConfiguration,
			`ipam is ${JSON.stringify(ipam)}`,
			'expected an object with "type": "bgpmesh-ipam"',
		);
	return ipam;
}

/** The request of ADD. @throws CniError */
export function addressKeys({ document }: NetworkConfiguration): AddressKeys {
	const ipam = ipamOf(document);
	return {
		assignIpv4: flag(ipam, 'assign_ipv4', true),
		assignIpv6: flag(ipam, 'assign_ipv6', false),
		ipv4Pools: textList(ipam, 'ipv4_pools'),
		ipv6Pools: textList(ipam, 'ipv6_pools'),
		wantedAddresses: [...wanted(document, ['args', 'cni', 'ips']), ...wanted(document, ['runtimeConfig', 'ips'])],
		gateways: gatewaysOf(ipam),
		routes: routesOf(ipam),
		prefix: prefixOf(ipam),
	};
}

function decode(text: string): Json {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (error) {
		throw new CniError(
			CniCode.decodingFailure,
			'standard input is not JSON',
			error instanceof Error ? error.message : String(error),
		);
	}
	if (!isObject(value)) throw new CniError(CniCode.decodingFailure, 'standard input is not a JSON object');
	return value;
}

/** A boolean or its text form, as calico-ipam accepts it. */
function flag(ipam: Json, key: string, otherwise: boolean): boolean {
	const value = ipam[key];
	if (value === undefined) return otherwise;
	if (value === true || value === 'true') return true;
	if (value === false || value === 'false') return false;
	throw new CniError(
		CniCode.invalidConfiguration,
		`ipam.${key} is ${JSON.stringify(value)}`,
		'expected "true" or "false"',
	);
}

function textList(ipam: Json, key: string): readonly string[] {
	const value = ipam[key] ?? [];
	if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string'))
		throw new CniError(
			CniCode.invalidConfiguration,
			`ipam.${key} is ${JSON.stringify(value)}`,
			'expected a list of pool names or CIDRs',
		);
	return value;
}

function textOf(ipam: Json, key: string): string | undefined {
	const value = ipam[key];
	if (value === undefined) return undefined;
	if (typeof value !== 'string' || value === '')
		throw new CniError(CniCode.invalidConfiguration, `ipam.${key} is ${JSON.stringify(value)}`, 'expected text');
	return value;
}

/**
 * Addresses with or without a prefix length. The length is ignored: CNI's conventions have both
 * forms, and `host-local` ignores it, too.
 */
function wanted(config: Json, path: readonly string[]): readonly string[] {
	const value = path.reduce<unknown>((outer, key) => (isObject(outer) ? outer[key] : undefined), config) ?? [];
	if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string'))
		throw new CniError(
			CniCode.invalidConfiguration,
			`${path.join('.')} is ${JSON.stringify(value)}`,
			'expected a list of addresses',
		);
	return value.map(withoutLength);
}

/** Removes the prefix length: `10.0.0.5/24` becomes `10.0.0.5`. */
export const withoutLength = (address: string): string => address.trim().replace(/\/\d+$/, '');

function prefixOf(ipam: Json): AddressKeys['prefix'] {
	const prefix = textOf(ipam, 'prefix') ?? 'host';
	if (prefix !== 'host' && prefix !== 'block')
		throw new CniError(CniCode.invalidConfiguration, `ipam.prefix is "${prefix}"`, 'expected "host" or "block"');
	return prefix;
}

/** `"gateway": "auto"` applies to both families. */
function gatewaysOf(ipam: Json): AddressKeys['gateways'] {
	const ipv4 = textOf(ipam, 'gateway');
	const ipv6 = textOf(ipam, 'gateway6') ?? (ipv4 === 'auto' ? 'auto' : undefined);
	if ((ipv4 === 'auto' || ipv6 === 'auto') && ipam['prefix'] === 'host')
		throw new CniError(
			CniCode.invalidConfiguration,
			'ipam.gateway is "auto" and ipam.prefix is "host"',
			"a gateway inside the block goes with the block's prefix length",
		);
	return { ipv4, ipv6 };
}

/** The key of host-local. The main plugin interprets its contents. */
function routesOf(ipam: Json): AddressKeys['routes'] {
	const value = ipam['routes'];
	if (value === undefined) return undefined;
	if (
		!Array.isArray(value) ||
		!value.every((route): route is Json => isObject(route) && typeof route['dst'] === 'string')
	)
		throw new CniError(
			CniCode.invalidConfiguration,
			`ipam.routes is ${JSON.stringify(value)}`,
			'expected a list of { "dst": CIDR, "gw": address }',
		);
	return value;
}

/** GC: the attachments that still exist. @throws CniError */
export function validAttachments({
	document,
}: NetworkConfiguration): readonly { readonly containerId: string; readonly ifname: string }[] {
	const value = document['cni.dev/valid-attachments'];
	if (value === undefined)
		throw new CniError(
			CniCode.invalidConfiguration,
			'GC without cni.dev/valid-attachments',
			'the runtime names the attachments that are still there',
		);
	// A misread attachment would lose its address.
	if (!Array.isArray(value) || !value.every(isAttachment))
		throw new CniError(
			CniCode.invalidConfiguration,
			`cni.dev/valid-attachments is ${JSON.stringify(value)}`,
			'expected a list of { "containerID": text, "ifname": text }',
		);
	return value.map(({ containerID, ifname }) => ({ containerId: containerID, ifname }));
}

const isAttachment = (value: unknown): value is { readonly containerID: string; readonly ifname: string } =>
	isObject(value) && typeof value['containerID'] === 'string' && typeof value['ifname'] === 'string';

/** CHECK: the addresses in the result of ADD. @throws CniError */
export function previousAddresses({ document }: NetworkConfiguration): readonly string[] {
	const result = document['prevResult'];
	if (result === undefined)
		throw new CniError(
			CniCode.invalidConfiguration,
			'CHECK without prevResult',
			'the runtime passes the answer of ADD',
		);
	const ips = isObject(result) ? (result['ips'] ?? []) : undefined;
	if (
		!Array.isArray(ips) ||
		!ips.every((item): item is { readonly address: string } => isObject(item) && typeof item['address'] === 'string')
	)
		throw new CniError(
			CniCode.invalidConfiguration,
			`prevResult is ${JSON.stringify(result)}`,
			'expected what ADD answered: { "ips": [{ "address": CIDR }] }',
		);
	return ips.map(({ address }) => withoutLength(address));
}
