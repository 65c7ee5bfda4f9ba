import {
	ControlError,
	type EbpfDirectView,
	type EbpfHostView,
	type EbpfMapView,
	type EbpfView,
} from '../../control/index.ts';
import type { BpfMap, EbpfPolicy } from '../../ebpf/index.ts';
import type { OpenedEbpf } from './ebpf.ts';
import { problemText } from './fallback.ts';
import type { OpenedPolicy } from './open.ts';
import { decisionText } from './program-events.ts';

/** Elements of a map that are counted; each costs a system call. */
const mostCounted = 20_000;

/** The programs of this node. @throws ControlError where policy is not enforced */
export function ebpfView({ kernel, pinDirectory, side }: OpenedPolicy): EbpfView {
	if (kernel === undefined)
		throw new ControlError(
			409,
			'not-enforced',
			'this node enforces no network policy',
			'set networkPolicy.enforce: true',
		);
	const opened = kernel.ebpf;
	const outside = opened?.outside?.();
	const { state } = side.calculator;
	return {
		dataplane: kernel.name,
		...(kernel.problem === undefined ? {} : { problem: problemText(kernel.problem) }),
		...(opened === undefined ? {} : { attachment: opened.attachment }),
		pinDirectory,
		...(outside === undefined
			? {}
			: { outside: { interfaces: outside.interfaces, ...leftFor(outside) }, directReturn: directView(outside) }),
		...(opened === undefined ? {} : { podRedirect: redirectView(kernel.noRedirect(state)) }),
		pods: (opened?.kernel.endpoints() ?? []).map(({ pod, interfaceName, instructions }) => ({
			pod,
			interface: interfaceName,
			instructions,
		})),
		hosts: opened === undefined ? [] : hostViews(opened.kernel, kernel.hostsLeft(state), state.hosts.keys()),
		maps: [...(opened?.maps.values() ?? []), ...(opened?.serviceMaps?.()?.values() ?? [])].map(mapView),
		counters: (opened?.kernel.counters() ?? [])
			.map(({ direction, action, decision, packets }) => ({
				...{ direction, action, packets },
				decidedBy: decisionText(decision),
			}))
			.sort((left, right) => right.packets - left.packets),
	};
}

/** Host endpoints by what judges them. `left`: nftables, and why. `all`: their keys. Pure. */
export function hostViews(
	{ hostInterfaces, earlyPrograms }: Pick<EbpfPolicy, 'hostInterfaces' | 'earlyPrograms'>,
	left: ReadonlyMap<string, string>,
	all: Iterable<string>,
): EbpfHostView[] {
	const judged = new Set(hostInterfaces.values());
	return [
		...[...hostInterfaces].map(([name, endpoint]) => {
			const early = earlyPrograms.get(name) ?? [];
			return { endpoint, interface: name, ...(early.length === 0 ? {} : { early }) };
		}),
		...[...left].map(([endpoint, reason]) => ({ endpoint, leftFor: reason })),
		...[...all]
			.filter((endpoint) => !left.has(endpoint) && !judged.has(endpoint))
			.map((endpoint) => ({ endpoint, leftFor: 'no interface of it is one where programs may judge' })),
	];
}

const redirectView = (reason: string | undefined): NonNullable<EbpfView['podRedirect']> =>
	reason === undefined ? { isOn: true } : { isOn: false, reason };

const leftFor = ({ leftFor: endpoint }: { readonly leftFor: string | undefined }) =>
	endpoint === undefined ? {} : { leftFor: endpoint };

const directView = (outside: NonNullable<ReturnType<NonNullable<OpenedEbpf['outside']>>>): EbpfDirectView => {
	const { accepts = false, reason } = outside.direct;
	const { directNodes: nodes } = outside;
	return {
		isOn: accepts,
		...(reason === undefined ? {} : { reason }),
		...(nodes === undefined ? {} : { nodes }),
		...{ sent: outside.directConnections, arrived: outside.arrivedConnections },
	};
};

/** @throws ControlError with another data plane */
export function flowsOf(
	{ kernel, flows }: OpenedPolicy,
	signal: AbortSignal,
): ReturnType<OpenedPolicy['flows']['follow']> {
	if (kernel?.name !== 'ebpf')
		throw new ControlError(
			409,
			'no-flows',
			'nftables reports no connections that it allows',
			'dataplane: ebpf has flows; bgpmesh policy drops shows what is denied',
		);
	return flows.follow(signal);
}

function mapView(map: BpfMap): EbpfMapView {
	const { name, type, entries } = map.definition;
	// Elements of arrays always exist; of a ring buffer there are none.
	if (type === 'ringBuffer' || type === 'array' || type === 'perCpuArray' || type === 'programArray')
		return { name, type, most: entries };
	let used = 0;
	for (const _ of map.keys()) if (++used >= mostCounted) return { name, type, used, more: true, most: entries };
	return { name, type, used, most: entries };
}
