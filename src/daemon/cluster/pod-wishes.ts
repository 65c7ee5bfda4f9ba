/** What annotations ask for: those of the pod, and for pools those of its namespace behind them. As calico-ipam and the plugin `calico` read them. */
import { ControlError } from '../../control/index.ts';
import { AddressError, type Family, formatAddress, parseAddress } from '../../core/index.ts';
import { parseJson } from '../../kubernetes/index.ts';

type Annotations = Readonly<Record<string, string>>;

/** What a pod is to be given. */
export interface PodWishes {
	readonly pools: Readonly<Partial<Record<Family, readonly string[]>>>;
	/** Certain addresses, one of a family at most, canonical: then these families alone, whatever the network is configured for. */
	readonly addresses: Readonly<Partial<Record<Family, string>>>;
}

const prefix = 'cni.projectcalico.org/';

/** Pure. @throws ControlError 400 for an annotation that can't be obeyed */
export function podWishes(pod: Annotations, namespace: Annotations): PodWishes {
	if (pod[`${prefix}ipAddrsNoIpam`] !== undefined)
		throw new ControlError(
			400,
			'bad-annotation',
			`annotation ${prefix}ipAddrsNoIpam asks for addresses that nobody keeps a record of`,
			`only the plugin calico can do that; ${prefix}ipAddrs has addresses of pools`,
		);
	const pools = (key: string) => listed('pod', pod, key) ?? listed('namespace', namespace, key);
	const [ipv4, ipv6] = [pools('ipv4pools'), pools('ipv6pools')];
	return {
		pools: { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) },
		addresses: byFamily(listed('pod', pod, 'ipAddrs') ?? []),
	};
}

/** One address of each family at most. @throws ControlError 400 */
export function byFamily(addresses: readonly string[]): PodWishes['addresses'] {
	const found: Partial<Record<Family, string>> = {};
	for (const text of addresses) {
		const { family, bytes } = parsed(text);
		const address = formatAddress(bytes);
		if (found[family] !== undefined && found[family] !== address)
			throw new ControlError(400, 'bad-request', `${found[family]} and ${address} are both of ${family}`, 'one address of a family can be asked for');
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
	throw new ControlError(400, 'bad-annotation', `annotation ${prefix}${key} of the ${whose} is not a JSON list of text: ${text}`);
}
