import type { StatusView } from '../../control/index.ts';
import { aFew } from '../../core/index.ts';
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
		['BGP', `AS ${status.asNumber}, identifier ${status.routerId}${status.clusterId === undefined ? '' : `, reflector of cluster ${status.clusterId}`}`],
		['Listens at', status.listen.join(', ')],
		[
			'Peers',
			{
				text: `${peers.established} of ${enabled} established${peers.dynamic > 0 ? `, ${peers.dynamic} dynamic` : ''}${peers.disabled > 0 ? `, ${peers.disabled} disabled` : ''}`,
				style: peers.established < enabled ? 'odd' : 'good',
			},
		],
		['Prefixes', families(rib.prefixes)],
		['Paths', `${families(rib.paths)}; ${count(rib.attributeSets, 'attribute set')}, ${count(rib.updateGroups, 'update group')}`],
		['Selection', { text: rib.dirty > 0 ? `${waiting}, ${count(rib.dirty, 'prefix', 'prefixes')} to decide` : waiting, style: rib.inSync ? 'good' : 'odd' }],
		['Next hops', nextHops && nextHopsCell(nextHops)],
		[
			'FIB',
			fib.enabled
				? {
						text: `${fib.installed} installed${fib.missing > 0 ? `, ${fib.missing} missing` : ''}${fib.failed > 0 ? `, ${fib.failed} failed` : ''}${fib.inSync ? '' : ', not in sync yet'}`,
						style: fib.failed > 0 ? 'bad' : fib.inSync && fib.missing === 0 ? 'good' : 'odd',
					}
				: 'off',
		],
		['', fib.refusal && { text: `nothing is written: ${fib.refusal.reason}`, style: 'bad' }],
		['', fib.refusal && { text: `what to do: ${fib.refusal.hint}`, style: 'bad' }],
		[
			'Cluster',
			cluster && {
				text: `${cluster.server}, ${cluster.layout}${cluster.awaySince === undefined ? '' : `; away since ${moment(cluster.awaySince)}, going on with ${cluster.fromLastKnown ? 'what was known before the start' : 'what is known'}`}`,
				style: cluster.awaySince === undefined ? 'good' : 'bad',
			},
		],
		...(cluster?.unreadable ?? []).map(
			({ kind, name, problem }) => ['', { text: `${kind} ${name} can not be read, nothing is given of it: ${problem}`, style: 'bad' }] as const,
		),
		...(cluster?.refused ?? []).flatMap(({ reason, without }) => [
			['', { text: `the API server refuses: ${reason}`, style: 'bad' }] as const,
			['', { text: without === undefined ? 'it goes on with what was known of them' : `without: ${without}`, style: 'bad' }] as const,
		]),
		['Configuration', `${config.file}, read ${moment(config.loadedAt)}`],
		[
			'',
			config.lastReloadError && {
				text: `reload refused ${moment(config.lastReloadError.at)}: ${config.lastReloadError.message.replaceAll('\n', '; ')}`,
				style: 'bad',
			},
		],
		['Memory', `${bytes(process.residentBytes)} resident, ${bytes(process.heapBytes)} heap`],
		['CPU', `${process.cpuSeconds.toFixed(1)} s; longest event-loop block ${(process.longestBlockSeconds * 1000).toFixed(0)} ms`],
	]);
	const warnings = status.warnings.map((warning) => `${paint(screen, 'odd', 'Warning')}: ${warning}\n`).join('');
	return warnings === '' ? body : `${body}\n${warnings}`;
}

/** Unreachable ones that are named; the rest is a number. */
const mostNamed = 5;

function nextHopsCell({ tracked, unreachable }: NonNullable<StatusView['nextHops']>): { readonly text: string; readonly style: 'good' | 'odd' } {
	if (unreachable.length === 0) return { text: `${tracked}, all reachable`, style: 'good' };
	return { text: `${tracked}, of which not reachable: ${aFew(unreachable, mostNamed)}`, style: 'odd' };
}
