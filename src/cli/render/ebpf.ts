import type {
	EbpfCounterView,
	EbpfDirectView,
	EbpfHostView,
	EbpfMapView,
	EbpfPodView,
	EbpfView,
} from '../../control/index.ts';
import { paint, type Screen, tame } from './screen.ts';
import { type Column, facts, table } from './table.ts';

const podColumns: readonly Column<EbpfPodView>[] = [
	{ title: 'POD', cell: ({ pod }) => pod },
	{ title: 'INTERFACE', cell: (pod) => pod.interface },
	{ title: 'INGRESS', align: 'right', cell: ({ instructions }) => instructions.ingress },
	{ title: 'EGRESS', align: 'right', cell: ({ instructions }) => instructions.egress },
];

const hostColumns: readonly Column<EbpfHostView>[] = [
	{ title: 'HOST ENDPOINT', cell: ({ endpoint }) => endpoint },
	{ title: 'INTERFACE', cell: (host) => host.interface ?? '-' },
	{ title: 'JUDGED BY', cell: (host) => judgeText(host) },
];

const judgeText = ({ leftFor, early = [] }: EbpfHostView): string => {
	if (leftFor !== undefined) return `nftables: ${leftFor}`;
	return early.length === 0 ? 'programs' : `programs, early ones too: ${early.join(', ')}`;
};

const mapColumns: readonly Column<EbpfMapView>[] = [
	{ title: 'MAP', cell: ({ name }) => name },
	{ title: 'TYPE', cell: ({ type }) => type },
	{ title: 'USED', align: 'right', cell: ({ used, more }) => (more === true ? `${used}+` : used) },
	{ title: 'MOST', align: 'right', cell: ({ most }) => most },
];

const counterColumns: readonly Column<EbpfCounterView>[] = [
	{ title: 'DECISION', cell: ({ decidedBy }) => tame(decidedBy) },
	{ title: 'DIRECTION', cell: ({ direction }) => direction },
	{ title: 'ACTION', cell: ({ action }) => ({ text: action, style: action === 'deny' ? 'bad' : 'good' }) },
	{ title: 'PACKETS', align: 'right', cell: ({ packets }) => packets },
];

/** Programs by pod with their instructions, maps with their fill, packets by decision. */
export function renderEbpf(screen: Screen, view: EbpfView): string {
	const { dataplane, problem, attachment, pinDirectory, outside, podRedirect, pods, hosts, maps, counters } = view;
	const { directReturn } = view;
	const head = facts(screen, [
		['Pods by', dataplane === 'ebpf' ? 'eBPF programs' : 'nftables'],
		['eBPF', problem && { text: problem, style: 'bad' }],
		['Attached by', attachment === undefined ? undefined : attachment === 'tcx' ? 'TCX links' : 'classifiers (clsact)'],
		['Pins', pinDirectory],
		['Services from outside', outside && outsideText(outside)],
		['Direct server return', directReturn && directText(directReturn)],
		['Between pods', podRedirect && redirectText(podRedirect)],
	]);
	if (dataplane !== 'ebpf') return head;
	const part = (title: string, text: string) => `\n${paint(screen, 'bold', title)}\n${text}`;
	return [
		head,
		part('Programs, instructions', pods.length === 0 ? 'No pods.\n' : table(screen, podColumns, pods)),
		...(hosts.length === 0 ? [] : [part('Host endpoints', table(screen, hostColumns, hosts))]),
		part('Maps', table(screen, mapColumns, maps)),
		part(
			'First packets of connections',
			counters.length === 0 ? 'None yet.\n' : table(screen, counterColumns, counters),
		),
	].join('');
}

const redirectText = ({ isOn, reason = '' }: NonNullable<EbpfView['podRedirect']>): string =>
	isOn ? 'from interface to interface' : `by routes and nftables: ${tame(reason)}`;

const outsideText = ({ interfaces, leftFor }: NonNullable<EbpfView['outside']>): string =>
	leftFor === undefined
		? `programs at ${interfaces.length === 0 ? 'no interface' : interfaces.join(', ')}`
		: `nftables, for the early policy of host endpoint ${tame(leftFor)}`;

const directText = ({ isOn, reason = '', nodes, sent, arrived }: EbpfDirectView): string => {
	const figures = `${sent} connections to other nodes, ${arrived} from them`;
	const names = nodes?.map(tame) ?? ['nodes of an earlier process'];
	if (isOn) return `to ${names.length === 0 ? 'no node' : names.join(', ')}; ${figures}`;
	return sent + arrived === 0 ? `off: ${tame(reason)}` : `off: ${tame(reason)}; ${figures}`;
};
