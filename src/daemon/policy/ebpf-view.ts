import { ControlError, type EbpfMapView, type EbpfView } from '../../control/index.ts';
import type { BpfMap } from '../../ebpf/index.ts';
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
	const judged = opened?.kernel.hostInterfaces ?? new Map<string, string>();
	const left = kernel.hostsLeft(side.calculator.state);
	return {
		dataplane: kernel.name,
		...(kernel.problem === undefined ? {} : { problem: problemText(kernel.problem) }),
		...(opened === undefined ? {} : { attachment: opened.attachment }),
		pinDirectory,
		...(outside === undefined ? {} : { outside: { interfaces: outside.interfaces, ...leftFor(outside) } }),
		...(opened === undefined ? {} : { podRedirect: redirectView(kernel.noRedirect(side.calculator.state)) }),
		pods: (opened?.kernel.endpoints() ?? []).map(({ pod, interfaceName, instructions }) => ({
			pod,
			interface: interfaceName,
			instructions,
		})),
		hosts: [
			...[...judged].map(([name, endpoint]) => ({ endpoint, interface: name })),
			...[...left].map(([endpoint, reason]) => ({ endpoint, leftFor: reason })),
			...(opened === undefined ? [] : [...side.calculator.state.hosts.keys()])
				.filter((endpoint) => !left.has(endpoint) && ![...judged.values()].includes(endpoint))
				.map((endpoint) => ({ endpoint, leftFor: 'no interface of it is one where programs may judge' })),
		],
		maps: [...(opened?.maps.values() ?? []), ...(opened?.serviceMaps?.()?.values() ?? [])].map(mapView),
		counters: (opened?.kernel.counters() ?? [])
			.map(({ direction, action, decision, packets }) => ({
				...{ direction, action, packets },
				decidedBy: decisionText(decision),
			}))
			.sort((left, right) => right.packets - left.packets),
	};
}

const redirectView = (reason: string | undefined): NonNullable<EbpfView['podRedirect']> =>
	reason === undefined ? { isOn: true } : { isOn: false, reason };

const leftFor = ({ leftFor: endpoint }: { readonly leftFor: string | undefined }) =>
	endpoint === undefined ? {} : { leftFor: endpoint };

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
