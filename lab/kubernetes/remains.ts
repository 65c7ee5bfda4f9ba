import { podInterfacePrefix } from '../../src/core/index.ts';
import { hostInterfaceName } from '../../src/pods/index.ts';

/** A pod with an address of its own. */
export interface PodFacts {
	readonly namespace: string;
	readonly name: string;
	readonly node: string;
	/** Empty while it has none. */
	readonly address: string;
}

/** An allocated address in an IPAMBlock. */
export interface AddressFacts {
	readonly address: string;
	/** `NAMESPACE/NAME`; `undefined`: of a tunnel. */
	readonly pod: string | undefined;
}

/** The network state of a node in the kernel and on disk. */
export interface NodeFacts {
	readonly name: string;
	/** Names that begin with `cali`. */
	readonly interfaces: readonly string[];
	/** Host routes through these interfaces. */
	readonly routes: readonly { readonly address: string; readonly device: string }[];
	/** The whole ruleset of nftables as text. */
	readonly ruleset: string;
	/** Releases of addresses that wait on disk. */
	readonly queuedReleases: number;
}

const idOf = ({ namespace, name }: PodFacts): string => `${namespace}/${name}`;

/**
 * What is left of pods that are gone, and what is missing of pods that live: one line for each.
 * Empty: the cluster is clean. It reads the resources and the kernel, not the daemon's own view.
 * Pure.
 */
export function remainsOf(
	pods: readonly PodFacts[],
	addresses: readonly AddressFacts[],
	nodes: readonly NodeFacts[],
): readonly string[] {
	const holders = new Map(addresses.map(({ address, pod }) => [address, pod]));
	const living = new Map(pods.map((pod) => [idOf(pod), pod.address]));
	return [
		...addresses.flatMap(({ address, pod }) =>
			pod === undefined || living.get(pod) === address ? [] : [`address ${address} leaked: it is allocated to ${pod}`],
		),
		...pods.flatMap((pod) =>
			holders.get(pod.address) === idOf(pod)
				? []
				: [`${idOf(pod)} has ${pod.address || 'no address'}, not allocated to it`],
		),
		...nodes.flatMap((node) =>
			remainsOfNode(
				node,
				pods.filter((pod) => pod.node === node.name),
			),
		),
	];
}

function remainsOfNode(
	{ name, interfaces, routes, ruleset, queuedReleases }: NodeFacts,
	pods: readonly PodFacts[],
): readonly string[] {
	const devices = new Map(pods.map((pod) => [hostInterfaceName(pod, '', 'eth0'), pod]));
	const present = new Set(interfaces);
	const routed = new Set(routes.map(({ address, device }) => `${address} ${device}`));
	const mentioned = new Set(ruleset.match(new RegExp(`\\b${podInterfacePrefix}[0-9a-f]{11}\\b`, 'g')) ?? []);
	return [
		...interfaces.flatMap((device) => (devices.has(device) ? [] : [`interface ${device} is left`])),
		...routes.flatMap(({ address, device }) =>
			devices.get(device)?.address === address ? [] : [`route ${address} through ${device} is left`],
		),
		...[...mentioned].flatMap((device) => (devices.has(device) ? [] : [`rules of ${device} are left`])),
		...(queuedReleases === 0 ? [] : [`${queuedReleases} releases wait`]),
		...[...devices].flatMap(([device, pod]) => [
			...(present.has(device) ? [] : [`interface ${device} of ${idOf(pod)} is missing`]),
			...(routed.has(`${pod.address} ${device}`) ? [] : [`route to ${pod.address} of ${idOf(pod)} is missing`]),
		]),
	].map((line) => `${name}: ${line}`);
}

interface Resource {
	readonly metadata: { readonly name: string; readonly namespace?: string; readonly deletionTimestamp?: string };
}

interface PodResource extends Resource {
	readonly spec: { readonly nodeName?: string; readonly hostNetwork?: boolean };
	readonly status: {
		readonly phase?: string;
		readonly podIP?: string;
		readonly conditions?: readonly { readonly type: string; readonly status: string }[];
	};
}

interface BlockResource extends Resource {
	readonly spec: {
		readonly cidr: string;
		readonly allocations: readonly (number | null)[];
		readonly attributes: readonly { readonly secondary?: Readonly<Record<string, string>> }[];
	};
}

/** The pods with an address of their own in a list of Pods as JSON. Pure. */
export function readPods(text: string): readonly PodFacts[] {
	const { items } = JSON.parse(text) as { readonly items: readonly PodResource[] };
	return items
		.filter(({ spec, status }) => spec.nodeName !== undefined && spec.hostNetwork !== true && !hasEnded(status.phase))
		.map(({ metadata, spec, status }) => ({
			namespace: metadata.namespace ?? '',
			name: metadata.name,
			node: spec.nodeName ?? '',
			address: status.podIP ?? '',
		}));
}

/** Every pod in a list of Pods as JSON, and whether it is ready and stays; pure. */
export function readReadiness(text: string): readonly { readonly id: string; readonly ready: boolean }[] {
	const { items } = JSON.parse(text) as { readonly items: readonly PodResource[] };
	return items.map(({ metadata: { namespace, name, deletionTimestamp }, status: { conditions = [] } }) => ({
		id: `${namespace}/${name}`,
		ready:
			deletionTimestamp === undefined && conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
	}));
}

const hasEnded = (phase: string | undefined): boolean => phase === 'Succeeded' || phase === 'Failed';

/** The allocated addresses in a list of IPAMBlocks as JSON (IPv4). Pure. */
export function readAddresses(text: string): readonly AddressFacts[] {
	const { items } = JSON.parse(text) as { readonly items: readonly BlockResource[] };
	return items.flatMap(({ spec: { cidr, allocations, attributes } }) =>
		allocations.flatMap((attribute, ordinal) => {
			if (attribute === null) return [];
			const { pod, namespace } = attributes[attribute]?.secondary ?? {};
			return [{ address: nthAddress(cidr, ordinal), pod: pod === undefined ? undefined : `${namespace}/${pod}` }];
		}),
	);
}

function nthAddress(cidr: string, ordinal: number): string {
	const bytes = (cidr.split('/')[0] ?? '').split('.').map(Number);
	const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0) + ordinal;
	return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
