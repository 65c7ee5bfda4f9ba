import type { StatusView } from '../../control/index.ts';
import { aFew, type PlaneView, type ProblemView } from '../../core/index.ts';
import { tableText } from './fib.ts';
import { bytes, count, duration, moment, paint, type Screen } from './screen.ts';
import { facts } from './table.ts';

/** The daemon in one screen: is all well, and if not, what to look at. */
export function renderStatus(screen: Screen, status: StatusView): string {
	const { peers, rib, fib, nextHops, cluster, config, process } = status;
	const enabled = peers.configured + peers.dynamic - peers.disabled;
	const waiting = rib.inSync ? 'in sync' : `waiting for ${rib.waitingFor.join(', ') || 'the first table'}`;
	const families = (numbers: StatusView['rib']['prefixes']) => `${numbers.ipv4} IPv4, ${numbers.ipv6} IPv6`;
	const body = facts(screen, [
		['Node', { text: status.node, style: 'bold' }],
		['Version', `${status.version}, pid ${status.pid}, up ${duration(status.uptimeSeconds)}`],
		[
			'BGP',
			`AS ${status.asNumber}, identifier ` +
				`${status.routerId}${status.clusterId === undefined ? '' : `, reflector of cluster ${status.clusterId}`}`,
		],
		['Listens at', status.listen.join(', ')],
		[
			'Peers',
			{
				text: [
					`${peers.established} of ${enabled} established`,
					...(peers.dynamic > 0 ? [`${peers.dynamic} dynamic`] : []),
					...(peers.disabled > 0 ? [`${peers.disabled} disabled`] : []),
				].join(', '),
				style: peers.established < enabled ? 'odd' : 'good',
			},
		],
		['Prefixes', families(rib.prefixes)],
		[
			'Paths',
			`${families(rib.paths)}; ${count(rib.attributeSets, 'attribute set')}, ` +
				`${count(rib.updateGroups, 'update group')}`,
		],
		[
			'Selection',
			{
				text: rib.dirty > 0 ? `${waiting}, ${count(rib.dirty, 'prefix', 'prefixes')} to decide` : waiting,
				style: rib.inSync ? 'good' : 'odd',
			},
		],
		['Next hops', nextHops && nextHopsCell(nextHops)],
		[
			'FIB',
			fib.enabled
				? {
						text: [
							`${fib.installed} installed`,
							...(fib.missing > 0 ? [`${fib.missing} missing`] : []),
							...(fib.failed > 0 ? [`${fib.failed} failed`] : []),
							...(fib.inSync || fib.failed > 0 ? [] : ['not in sync yet']),
						].join(', '),
						style: fib.failed > 0 ? 'bad' : fib.inSync && fib.missing === 0 ? 'good' : 'odd',
					}
				: 'off',
		],
		['', fib.enabled && fib.marks !== undefined ? marksText(fib.marks) : undefined],
		['', fib.refusal && { text: `nothing is written: ${fib.refusal.reason}`, style: 'bad' }],
		['', fib.refusal && { text: `what to do: ${fib.refusal.hint}`, style: 'bad' }],
		...(status.planes ?? []).filter(({ name }) => name !== 'routes').flatMap(planeRows),
		[
			'Cluster',
			cluster && {
				text: `${cluster.server}, ${cluster.layout}${awayText(cluster)}`,
				style: cluster.awaySince === undefined ? 'good' : 'bad',
			},
		],
		...(cluster?.addresses ?? []).map(
			({ family, method, reason, problem }) =>
				[
					'',
					{
						text: `${family === 'ipv4' ? 'IPv4' : 'IPv6'} address (${method}): ${problem ?? reason}`,
						style: problem === undefined ? 'plain' : 'bad',
					},
				] as const,
		),
		...(cluster?.unreadable ?? []).map(
			({ kind, name, problem }) =>
				['', { text: `${kind} ${name} can not be read, nothing is given of it: ${problem}`, style: 'bad' }] as const,
		),
		...(cluster?.refused ?? []).flatMap(({ reason, without }) => [
			['', { text: `the API server refuses: ${reason}`, style: 'bad' }] as const,
			[
				'',
				{
					text: without === undefined ? 'it goes on with what was known of them' : `without: ${without}`,
					style: 'bad',
				},
			] as const,
		]),
		['Configuration', `${config.file}, read ${moment(config.loadedAt)}`],
		[
			'',
			config.lastReloadError && {
				text:
					`reload refused ${moment(config.lastReloadError.at)}: ` +
					`${config.lastReloadError.message.replaceAll('\n', '; ')}`,
				style: 'bad',
			},
		],
		['Memory', `${bytes(process.residentBytes)} resident, ${bytes(process.heapBytes)} heap`],
		[
			'CPU',
			`${process.cpuSeconds.toFixed(1)} s; longest event-loop block ` +
				`${(process.longestBlockSeconds * 1000).toFixed(0)} ms`,
		],
	]);
	return `${body}\n${renderProblems(screen, status.problems)}`;
}

/** How our routes are found in the kernel: `ip route show table T proto P`. */
function marksText({ protocol, table, metric, protocolReason }: NonNullable<StatusView['fib']['marks']>): string {
	const reason = protocolReason === undefined ? '' : ` (${protocolReason})`;
	return `route protocol ${protocol}${reason}, table ${tableText(table)}, metric ${metric}`;
}

/** Each problem with its identifier, its reason, since when, and what to do. */
export function renderProblems(screen: Screen, problems: readonly ProblemView[]): string {
	if (problems.length === 0) return `${paint(screen, 'good', 'No problems.')}\n`;
	const lines = problems.map(({ id, severity, subject, text, reason, remedy, since }) => {
		const title = paint(screen, severity === 'error' ? 'bad' : 'odd', severity);
		const about = subject === '' ? '' : ` ${subject}`;
		return (
			`${title} ${id}${about}, since ${moment(since)}\n  ${text}\n  ${reason}\n  ` +
			`${paint(screen, 'dim', `What to do: ${remedy}`)}\n`
		);
	});
	return `${count(problems.length, 'problem')}:\n${lines.join('')}`;
}

/** What the daemon does while the API server is away; empty: it responds. */
function awayText({ awaySince, fromLastKnown }: NonNullable<StatusView['cluster']>): string {
	if (awaySince === undefined) return '';
	const state = fromLastKnown ? 'what was known before the start' : 'what is known';
	return `; away since ${moment(awaySince)}, going on with ${state}`;
}

/** Unreachable ones that are named; the rest is a number. */
const mostNamed = 5;

function nextHopsCell({ tracked, unreachable }: NonNullable<StatusView['nextHops']>): {
	readonly text: string;
	readonly style: 'good' | 'odd';
} {
	if (unreachable.length === 0) return { text: `${tracked}, all reachable`, style: 'good' };
	return { text: `${tracked}, of which not reachable: ${aFew(unreachable, mostNamed)}`, style: 'odd' };
}

/**
 * One row for a plane that has something to keep, and one for each failure. Routes have rows of
 * their own.
 */
function planeRows({ name, desired, installed, failures }: Omit<PlaneView, 'differences'>) {
	if (desired === 0 && failures.length === 0) return [];
	const isRight = desired === installed && failures.length === 0;
	const text = `${installed} of ${desired} installed`;
	return [
		[`Plane ${name}`, { text, style: isRight ? ('good' as const) : ('bad' as const) }] as const,
		...failures
			.slice(0, mostNamed)
			.map(({ subject, reason }) => ['', { text: `${subject}: ${reason}`, style: 'bad' as const }] as const),
	];
}
