import type { AddressGrant } from '../control/index.ts';
import { CniCode, CniError } from './errors.ts';

/** The versions of the specification that this plugin speaks, oldest first. */
export const cniVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof cniVersions)[number];

/** Is this a version that this plugin speaks? */
export const speaks = (version: unknown): version is CniVersion => cniVersions.some((known) => known === version);

/** The specification's form of a network's name and of a container's ID. */
export const isCniName = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(text);

/** The network configuration on standard input, as far as every verb cares. What one verb alone needs is read when it needs it, so that nothing keeps DEL from what it can do. */
export interface NetworkConfiguration {
	readonly cniVersion: CniVersion;
	readonly name: string;
	/** The daemon's control socket. */
	readonly socket: string;
	/** All of it, as it came. */
	readonly document: Json;
}

/** What ADD is to give. The keys are calico-ipam's; `gateway`, `routes` and `prefix` are ours. */
export interface AddressKeys {
	readonly assignIpv4: boolean;
	readonly assignIpv6: boolean;
	readonly ipv4Pools: readonly string[];
	readonly ipv6Pools: readonly string[];
	/** Certain addresses, as written, without prefix lengths: `args.cni.ips`, then `ips` of the capability of that name. */
	readonly wantedAddresses: readonly string[];
	/** What the result names as gateway, by family; `auto`: one inside the address's block, from the daemon; `undefined`: none. */
	readonly gateways: Readonly<Record<AddressGrant['family'], string | undefined>>;
	/** What the result has as routes in place of a default route by each gateway; `undefined`: nothing is said. */
	readonly routes: readonly Json[] | undefined;
	/** `host`: /32 and /128, as Calico; `block`: the block's length, as with a gateway from the daemon always. */
	readonly prefix: 'host' | 'block';
}

const defaultSocket = '/run/bgpmesh/bgpmesh.sock';

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads standard input. @throws CniError */
export function parseConfiguration(text: string): NetworkConfiguration {
	const config = decode(text);
	const version = config['cniVersion'] ?? '0.3.1';
	if (!speaks(version))
		throw new CniError(CniCode.incompatibleVersion, `cniVersion ${JSON.stringify(version)} is not supported`, `this plugin speaks ${cniVersions.join(', ')}`);
	const name = config['name'];
	if (typeof name !== 'string' || name === '')
		throw new CniError(CniCode.invalidConfiguration, 'the network configuration has no name', 'set "name" in the conflist');
	// The specification's form; the name becomes part of a resource's.
	if (!isCniName(name))
		throw new CniError(CniCode.invalidConfiguration, `the network's name is '${name}'`, 'expected letters, digits, _ . -, beginning with a letter or digit');
	return {
		cniVersion: version,
		name,
		socket: textOf(ipamOf(config), 'socket') ?? defaultSocket,
		document: config,
	};
}

/** The part of the configuration that is for IPAM plugins; without it everything is as by default. */
function ipamOf(config: Json): Json {
	const ipam = config['ipam'] ?? {};
	if (!isObject(ipam)) throw new CniError(CniCode.invalidConfiguration, `ipam is ${JSON.stringify(ipam)}`, 'expected an object with "type": "bgpmesh-ipam"');
	return ipam;
}

/** What ADD is to give. @throws CniError */
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
		throw new CniError(CniCode.decodingFailure, 'standard input is not JSON', error instanceof Error ? error.message : String(error));
	}
	if (!isObject(value)) throw new CniError(CniCode.decodingFailure, 'standard input is not a JSON object');
	return value;
}

/** A boolean, or the text of one, as calico-ipam takes it. */
function flag(ipam: Json, key: string, otherwise: boolean): boolean {
	const value = ipam[key];
	if (value === undefined) return otherwise;
	if (value === true || value === 'true') return true;
	if (value === false || value === 'false') return false;
	throw new CniError(CniCode.invalidConfiguration, `ipam.${key} is ${JSON.stringify(value)}`, 'expected "true" or "false"');
}

function textList(ipam: Json, key: string): readonly string[] {
	const value = ipam[key] ?? [];
	if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string'))
		throw new CniError(CniCode.invalidConfiguration, `ipam.${key} is ${JSON.stringify(value)}`, 'expected a list of pool names or CIDRs');
	return value;
}

function textOf(ipam: Json, key: string): string | undefined {
	const value = ipam[key];
	if (value === undefined) return undefined;
	if (typeof value !== 'string' || value === '') throw new CniError(CniCode.invalidConfiguration, `ipam.${key} is ${JSON.stringify(value)}`, 'expected text');
	return value;
}

/** Addresses, with or without a prefix length, which says nothing here: CNI's conventions have both, and `host-local` passes over it, too. */
function wanted(config: Json, path: readonly string[]): readonly string[] {
	const value = path.reduce<unknown>((outer, key) => (isObject(outer) ? outer[key] : undefined), config) ?? [];
	if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string'))
		throw new CniError(CniCode.invalidConfiguration, `${path.join('.')} is ${JSON.stringify(value)}`, 'expected a list of addresses');
	return value.map(withoutLength);
}

/** `10.0.0.5/24` is `10.0.0.5`. */
export const withoutLength = (address: string): string => address.trim().replace(/\/\d+$/, '');

function prefixOf(ipam: Json): AddressKeys['prefix'] {
	const prefix = textOf(ipam, 'prefix') ?? 'host';
	if (prefix !== 'host' && prefix !== 'block') throw new CniError(CniCode.invalidConfiguration, `ipam.prefix is "${prefix}"`, 'expected "host" or "block"');
	return prefix;
}

/** `"gateway": "auto"` speaks for both families. */
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

/** host-local's key; what it says is the main plugin's business. */
function routesOf(ipam: Json): AddressKeys['routes'] {
	const value = ipam['routes'];
	if (value === undefined) return undefined;
	if (!Array.isArray(value) || !value.every((route): route is Json => isObject(route) && typeof route['dst'] === 'string'))
		throw new CniError(CniCode.invalidConfiguration, `ipam.routes is ${JSON.stringify(value)}`, 'expected a list of { "dst": CIDR, "gw": address }');
	return value;
}

/** GC: the attachments that are still there. @throws CniError */
export function validAttachments({ document }: NetworkConfiguration): readonly { readonly containerId: string; readonly ifname: string }[] {
	const value = document['cni.dev/valid-attachments'];
	if (value === undefined)
		throw new CniError(CniCode.invalidConfiguration, 'GC without cni.dev/valid-attachments', 'the runtime names the attachments that are still there');
	// An attachment that was misread would lose its address.
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

/** CHECK: the addresses that ADD answered. @throws CniError */
export function previousAddresses({ document }: NetworkConfiguration): readonly string[] {
	const result = document['prevResult'];
	if (result === undefined) throw new CniError(CniCode.invalidConfiguration, 'CHECK without prevResult', 'the runtime says what ADD answered');
	const ips = isObject(result) ? (result['ips'] ?? []) : undefined;
	if (!Array.isArray(ips) || !ips.every((item): item is { readonly address: string } => isObject(item) && typeof item['address'] === 'string'))
		throw new CniError(CniCode.invalidConfiguration, `prevResult is ${JSON.stringify(result)}`, 'expected what ADD answered: { "ips": [{ "address": CIDR }] }');
	return ips.map(({ address }) => withoutLength(address));
}
