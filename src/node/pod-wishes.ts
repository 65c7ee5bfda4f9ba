/**
 * Address requests in annotations of the pod, and, for pools, of its namespace. Compatible with
 * calico-ipam and the plugin `calico`.
 */
import { ControlError } from '../control/index.ts';
import { AddressError, type Family, formatAddress, parseAddress } from '../core/index.ts';
import { parseJson } from '../json/index.ts';

type Annotations = Readonly<Record<string, string>>;

/** The address requests of a pod. */
export interface PodWishes {
	readonly pools: Readonly<Partial<Record<Family, readonly string[]>>>;
	/**
	 * Specific addresses, at most one per family, canonical. They determine the families,
	 * regardless of the network configuration.
	 */
	readonly addresses: Readonly<Partial<Record<Family, string>>>;
	/** Families in place of the network's; absent: the network's families. */
	readonly families?: readonly Family[];
	/** Hardware address of the interface, if the daemon creates it; absent: any. */
	readonly mac?: string;
}

const prefix = 'cni.projectcalico.org/';

/** Pure. @throws ControlError 400 for an annotation that can not be applied */
export function podWishes(pod: Annotations, namespace: Annotations): PodWishes {
	if (pod[`${prefix}ipAddrsNoIpam`] !== undefined)
		throw new ControlError(
			400,
			'bad-annotation',
			`annotation ${prefix}ipAddrsNoIpam asks for addresses without a record of them`,
			`only the plugin calico can do that; ${prefix}ipAddrs has addresses of pools`,
		);
	const pools = (key: string) => listed('pod', pod, key) ?? listed('namespace', namespace, key);
	const [ipv4, ipv6] = [pools('ipv4pools'), pools('ipv6pools')];
	return {
		pools: { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) },
		addresses: byFamily(listed('pod', pod, 'ipAddrs') ?? []),
		...familiesOf(listed('pod', pod, 'ipFamilies') ?? listed('namespace', namespace, 'ipFamilies')),
		...macOf(pod),
	};
}

const familyNames: Readonly<Record<string, Family>> = { IPv4: 'ipv4', IPv6: 'ipv6' };

/** `ipFamilies`: `["IPv4"]`, `["IPv6"]` or both. */
function familiesOf(names: readonly string[] | undefined): Pick<PodWishes, 'families'> {
	if (names === undefined || names.length === 0) return {};
	const families = names.map((name) => {
		const family = familyNames[name];
		if (family !== undefined) return family;
		throw new ControlError(
			400,
			'bad-annotation',
			`annotation ${prefix}ipFamilies has '${name}'`,
			`expected a list of ${Object.keys(familyNames).join(', ')}`,
		);
	});
	return { families: [...new Set(families)] };
}

function macOf(pod: Annotations): Pick<PodWishes, 'mac'> {
	const text = pod[`${prefix}hwAddr`];
	if (text === undefined) return {};
	if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return { mac: text };
	throw new ControlError(
		400,
		'bad-annotation',
		`annotation ${prefix}hwAddr is '${text}'`,
		'expected a hardware address as 02:00:00:00:00:01',
	);
}

/** At most one address per family. @throws ControlError 400 */
export function byFamily(addresses: readonly string[]): PodWishes['addresses'] {
	const found: Partial<Record<Family, string>> = {};
	for (const text of addresses) {
		const { family, bytes } = parsed(text);
		const address = formatAddress(bytes);
		if (found[family] !== undefined && found[family] !== address)
			throw new ControlError(
				400,
				'bad-request',
				`${found[family]} and ${address} are both of ${family}`,
				'one address of a family can be asked for',
			);
		found[family] = address;
	}
	return found;
}

function parsed(text: string) {
	try {
		return parseAddress(text);
	} catch (error) {
		if (error instanceof AddressError) throw new ControlError(400, 'bad-request', error.message);
		throw error;
	}
}

function listed(whose: string, annotations: Annotations, key: string): readonly string[] | undefined {
	const text = annotations[`${prefix}${key}`];
	if (text === undefined) return undefined;
	let list: unknown;
	try {
		list = parseJson(text);
	} catch {
		list = undefined;
	}
	if (Array.isArray(list) && list.every((item): item is string => typeof item === 'string')) return list;
	throw new ControlError(
		400,
		'bad-annotation',
		`annotation ${prefix}${key} of the ${whose} is not a JSON list of text: ${text}`,
	);
}
