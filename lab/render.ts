import type { LabReport, LossRow, PingRow, RouteRow } from './report.ts';
import type { LabTopology } from './topology.ts';

/** Colours if the output is a terminal. */
export interface Palette {
	readonly heading: (text: string) => string;
	readonly good: (text: string) => string;
	readonly bad: (text: string) => string;
	readonly quiet: (text: string) => string;
}

const paint = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`;
const plain = (text: string) => text;

export const colours: Palette = { heading: paint(1), good: paint(32), bad: paint(31), quiet: paint(2) };
export const noColours: Palette = { heading: plain, good: plain, bad: plain, quiet: plain };

/** The whole report as text. */
export function renderReport(report: LabReport, topology: LabTopology, palette: Palette): string {
	const { peers, routes, scenarios } = report;
	const shown = topology.subnets.flatMap(({ name }) => topology.nodes.find(({ subnet }) => subnet.name === name) ?? []);
	return [
		palette.heading(`Sessions: ${peers.established} of ${peers.configured} established`),
		renderTable(
			['NODE', 'PEER', 'ADDRESS', 'AS', 'STATE', 'RECEIVED', 'SENT'],
			peers.sessions.map(({ node, peer, address, asNumber, state, received, advertised }) => [
				node,
				peer,
				address,
				`${asNumber}`,
				{ text: state, paint: state === 'established' ? palette.good : palette.bad },
				`${received}`,
				`${advertised}`,
			]),
			palette,
		),
		'',
		palette.heading(`Routes to pods of other nodes: ${routes.direct} direct, ${routes.tunnelled} through the tunnel`),
		...shown.flatMap(({ name, subnet, address }) => [
			`  ${name} ${palette.quiet(`(${address}, ${subnet.name})`)}`,
			(routes.nodes[name] ?? []).length === 0
				? '    none'
				: renderTable([], (routes.nodes[name] ?? []).map(routeCells), palette, '    '),
		]),
		'',
		palette.heading('Pings, average round trip'),
		renderMatrix(report, topology, palette),
		...scenarios.flatMap(({ name, ok, text, losses = [] }) => [
			'',
			`${(ok ? palette.good : palette.bad)(ok ? '✓' : '✗')} ${name}: ${text}`,
			...losses.map(lossLine),
		]),
		'',
		...report.problems.map((problem) => `${palette.bad('✗')} ${problem}`),
		verdict(report, palette),
		'',
	].join('\n');
}

const lossLine = ({ from, to, lost, fromSeconds, toSeconds }: LossRow): string =>
	`  lost from ${from} to ${to}: ${lost}, ${fromSeconds} to ${toSeconds} s after its start`;

type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

const textOf = (cell: Cell | undefined): string => (typeof cell === 'string' ? cell : (cell?.text ?? ''));

function renderTable(
	head: readonly string[],
	rows: readonly (readonly Cell[])[],
	palette: Palette,
	indent = '  ',
): string {
	const all = head.length > 0 ? [head.map((text): Cell => ({ text, paint: palette.quiet })), ...rows] : rows;
	const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => textOf(row[column]).length)));
	const show = (cell: Cell, column: number) => {
		const padded = textOf(cell).padEnd(widths[column] ?? 0);
		return typeof cell === 'string' ? padded : cell.paint(padded);
	};
	return all.map((row) => `${indent}${row.map(show).join('  ')}`.trimEnd()).join('\n');
}

const reasons: Readonly<Record<RouteRow['type'], string>> = {
	direct: 'same subnet: direct',
	tunnelled: 'other subnet: IP in IP',
	blackhole: 'own block',
	external: 'from the top-of-rack router',
};

const routeCells = ({ prefix, type, via, device }: RouteRow): Cell[] => [
	prefix,
	type === 'blackhole' ? 'blackhole' : `via ${via ?? '-'}`,
	type === 'blackhole' ? '' : `dev ${device ?? '-'}`,
	reasons[type],
];

function renderMatrix({ pings, service }: LabReport, { nodes }: LabTopology, palette: Palette): string {
	const rows = [...pings.pairs, ...service.pairs];
	const columns = [...nodes.map(({ pod }) => pod.name), 'service'];
	const cell = (from: string, to: string): Cell => {
		if (from === to) return { text: '·', paint: palette.quiet };
		const row = rows.find((candidate) => candidate.from === from && candidate.to === to);
		return row === undefined ? '-' : pingCell(row, palette);
	};
	return renderTable(
		['from \\ to', ...columns],
		nodes.map(({ pod }) => [pod.name, ...columns.map((to) => cell(pod.name, to))]),
		palette,
	);
}

const pingCell = ({ sent, lost, averageMs }: PingRow, palette: Palette): Cell =>
	lost === 0
		? { text: `${averageMs?.toFixed(2)} ms`, paint: palette.good }
		: { text: `${lost}/${sent} lost`, paint: palette.bad };

function verdict({ ok, pings, service, convergedSeconds, seconds }: LabReport, palette: Palette): string {
	const sent = pings.sent + service.sent;
	const lost = pings.lost + service.lost;
	const converged = convergedSeconds === undefined ? '' : `, converged in ${convergedSeconds} s`;
	return (
		`${ok ? palette.good('✓ it works') : palette.bad('✗ it does not work')}: ${sent - lost} of ` +
		`${sent} pings answered${converged}, ${seconds} s in all`
	);
}
