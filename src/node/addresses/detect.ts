/**
 * Detects the node's own address of a family by one of Calico's autodetection methods
 * (`node/pkg/lifecycle/startup/autodetection`): values in, a decision with its reason out. As in
 * Calico, links are examined in reverse order of their index, and the first qualifying address is
 * taken; the present address is kept if it qualifies. Pure.
 */
import {
	AddressError,
	canonicalAddress,
	type Family,
	parseAddress,
	parsePrefix,
	prefixContains,
	prefixKey,
} from '../../core/index.ts';
import { unroutable } from '../../ipam/index.ts';
import type { NodeAddress } from '../../kubernetes/index.ts';

/** As configured: `first-found`, `interface=eth.*`, `can-reach=192.0.2.1`, ... */
export type DetectionMethod = string;

/** An address of an interface. */
export interface LinkAddress extends NodeAddress {
	readonly device: string;
	/** Index of the link; greater ones are examined first. */
	readonly index: number;
	readonly family: Family;
}

export interface DetectionInput {
	readonly family: Family;
	readonly method: DetectionMethod;
	/** All addresses of this host. */
	readonly links: readonly LinkAddress[];
	/** The `InternalIP` addresses of the Node in Kubernetes. */
	readonly internalAddresses: readonly string[];
	/** The present annotation of the Node. */
	readonly present: NodeAddress | undefined;
	/** True if `present` is an address of this host. */
	readonly presentIsLocal: boolean;
	/**
	 * The source address towards the destination of `can-reach`; `undefined`: no route, or not
	 * looked up.
	 */
	readonly reached: string | undefined;
	/** Addresses of other Nodes, with the names of the Nodes. */
	readonly taken: ReadonlyMap<string, string>;
}

/** The decision on the annotation, with its reason. */
export type Detection =
	/** It is unchanged. */
	| { readonly type: 'keep'; readonly reason: string; readonly problem?: string }
	| { readonly type: 'set'; readonly address: NodeAddress; readonly reason: string; readonly problem?: string }
	/** It is removed because it is wrong. This also lets two nodes exchange their addresses. */
	| { readonly type: 'clear'; readonly reason: string; readonly problem: string };

/** Links that never carry a node's own address: Calico's list, and our own devices. */
const excludedPrefixes = [
	...['docker', 'cbr', 'dummy', 'podman', 'virbr', 'lxcbr', 'veth', 'lo', 'br-', 'cali', 'tunl', 'flannel'],
	...['kube-ipvs', 'cni', 'vxlan.calico', 'vxlan-v6.calico', 'wireguard.cali', 'wg-v6.cali', 'nodelocaldns'],
	'bgpmesh',
];

/** The destination of `can-reach=`; `undefined` for other methods. */
export const destinationOf = (method: DetectionMethod): string | undefined =>
	method.startsWith('can-reach=') ? method.slice('can-reach='.length) : undefined;

/** Decides the annotation of one family. */
export function detect(input: DetectionInput): Detection {
	const { family, method, present, presentIsLocal, taken } = input;
	if (method === 'none') return { type: 'keep', reason: 'detection is off' };
	const candidates = candidatesOf(input);
	if (candidates.type === 'invalid') return { type: 'keep', reason: candidates.reason, problem: candidates.reason };
	const { addresses, reason } = candidates;
	const label = familyText(family);
	if (present !== undefined && (method === 'auto' ? presentIsLocal : has(addresses, present))) {
		const owner = taken.get(present.address);
		return {
			type: 'keep',
			reason: `${present.address} is an address of this host`,
			...(owner === undefined ? {} : { problem: `${present.address} is the ${label} address of node ${owner} too` }),
		};
	}
	const wrong =
		present &&
		`the Node has ${label} address ${present.address}, which ` +
			`${presentIsLocal ? `${method} does not find` : 'no interface has'}`;
	const found = addresses.find(({ address }) => !taken.has(address));
	if (found !== undefined)
		return {
			type: 'set',
			address: found,
			reason: `${found.address} of ${found.device}: ${reason}`,
			...(wrong === undefined ? {} : { problem: `${wrong}: it becomes ${found.address} of ${found.device}` }),
		};
	const [conflicting] = addresses;
	if (conflicting !== undefined) {
		const conflict =
			`${conflicting.address} of ${conflicting.device} is the ${label} address of node ` +
			`${taken.get(conflicting.address) ?? ''} too`;
		return wrong === undefined
			? { type: 'keep', reason: conflict, problem: conflict }
			: { type: 'clear', reason: conflict, problem: `${wrong}, and ${conflict}` };
	}
	return {
		type: 'keep',
		reason: `no ${label} address found: ${reason}`,
		...(wrong === undefined ? {} : { problem: `${wrong}, and no other was found` }),
	};
}

const familyText = (family: Family): string => (family === 'ipv4' ? 'IPv4' : 'IPv6');

const has = (addresses: readonly NodeAddress[], { address }: NodeAddress): boolean =>
	addresses.some((other) => other.address === address);

type Candidates =
	| { readonly type: 'found'; readonly addresses: readonly LinkAddress[]; readonly reason: string }
	| { readonly type: 'invalid'; readonly reason: string };

/** The addresses that the method selects, best first. */
function candidatesOf({ family, method, links, internalAddresses, reached, present }: DetectionInput): Candidates {
	const usable = links
		.filter((link) => link.family === family && isUsable(link))
		// A host route is the address of a service or a virtual address; addresses with a subnet
		// come first.
		.sort((left, right) => Number(isHostRoute(left)) - Number(isHostRoute(right)) || right.index - left.index);
	const [, name = method, argument = ''] = /^([^=]+)=(.*)$/s.exec(method) ?? [];
	const found = (reason: string, isMeant: (link: LinkAddress) => boolean): Candidates => ({
		type: 'found',
		addresses: usable.filter(isMeant),
		reason,
	});
	const firstFound = (link: LinkAddress) => !excludedPrefixes.some((prefix) => link.device.startsWith(prefix));
	const internal = internalAddresses.flatMap(canonical);
	switch (name) {
		case 'auto': {
			const known = usable.filter(({ address }) => internal.includes(address));
			if (known.length > 0) return { type: 'found', addresses: known, reason: "Kubernetes' InternalIP" };
			// A host with IPv4 gets an IPv6 address only if Kubernetes has one for it.
			const isAlone =
				family === 'ipv4' || !links.some((link) => link.family === 'ipv4' && isUsable(link) && firstFound(link));
			if (isAlone || present !== undefined) return found('the first found', firstFound);
			return { type: 'found', addresses: [], reason: "Kubernetes' InternalIP has none" };
		}
		case 'first-found':
			return found('the first found', firstFound);
		case 'kubernetes-internal-ip':
			return found("Kubernetes' InternalIP", ({ address }) => internal.includes(address));
		case 'can-reach':
			return found(
				`the source address towards ${argument}`,
				({ address }) => reached !== undefined && canonical(reached).includes(address),
			);
		case 'interface':
		case 'skip-interface': {
			const patterns = patternsOf(argument);
			if (patterns === undefined) return { type: 'invalid', reason: `${method}: not a regular expression` };
			const matches = ({ device }: LinkAddress) => patterns.some((pattern) => pattern.test(device));
			return name === 'interface'
				? found(`an interface that matches ${argument}`, matches)
				: found(`the first found, without ${argument}`, (link) => firstFound(link) && !matches(link));
		}
		case 'cidr': {
			const prefixes = prefixesOf(argument);
			if (prefixes === undefined) return { type: 'invalid', reason: `${method}: not a list of prefixes` };
			return found(`an address in ${argument}`, ({ address }) =>
				prefixes.some((prefix) => prefixContains(prefix, parseAddress(address))),
			);
		}
		default:
			return { type: 'invalid', reason: `${method} is none of the methods of detection` };
	}
}

/** Global unicast as defined in Go: private, unique local and shared addresses qualify. */
const isUsable = ({ address, family }: LinkAddress): boolean =>
	unroutable(prefixKey(`${address}/${family === 'ipv4' ? 32 : 128}`)) === undefined;

const isHostRoute = ({ family, length }: LinkAddress): boolean => length === (family === 'ipv4' ? 32 : 128);

/** Unanchored patterns, as in Calico. */
function patternsOf(list: string): readonly RegExp[] | undefined {
	try {
		return list.split(',').map((text) => new RegExp(text.trim()));
	} catch {
		return undefined;
	}
}

function prefixesOf(list: string) {
	try {
		return list.split(',').map((text) => parsePrefix(prefixKey(text.trim(), 'clear')));
	} catch (error) {
		if (error instanceof AddressError) return undefined;
		throw error;
	}
}

function canonical(text: string): readonly string[] {
	try {
		return [canonicalAddress(text)];
	} catch (error) {
		if (error instanceof AddressError) return [];
		throw error;
	}
}
