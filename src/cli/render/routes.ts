import { aFew, type ExplainedPath, type ExplanationView, type RouteView } from '../../core/index.ts';
import { inOrder } from './order.ts';
import { count, type ListScreen, paint, type Screen, type Style, tame } from './screen.ts';
import { type Column, facts, TableWriter, table } from './table.ts';

const originLetters = { igp: 'i', egp: 'e', incomplete: '?' } as const;

function marks({ best, stale, ineligible }: RouteView): { readonly text: string; readonly style: Style } {
	const eligible = ineligible === undefined ? '*' : ' ';
	return {
		text: `${stale ? 'S' : eligible}${best ? '>' : ' '}`,
		style: best ? 'good' : ineligible === undefined ? 'plain' : 'dim',
	};
}

const peerOf = ({ peer, source }: RouteView) => peer ?? (source === 'local' ? 'this node' : undefined);

/** Well-known communities by the names people use (RFC 1997, RFC 7999, RFC 8326, RFC 9494). */
const communityNames: Readonly<Record<string, string>> = {
	'65535:0': 'graceful-shutdown',
	'65535:6': 'llgr-stale',
	'65535:7': 'no-llgr',
	'65535:666': 'blackhole',
	'65535:65281': 'no-export',
	'65535:65282': 'no-advertise',
	'65535:65283': 'no-export-subconfed',
	'65535:65284': 'no-peer',
};
const attributes = ({ communities, largeCommunities, extendedCommunities }: RouteView) =>
	[
		...communities.map((community) => communityNames[community] ?? community),
		...largeCommunities,
		...extendedCommunities,
	].join(' ');

const columns: readonly Column<RouteView>[] = [
	{ title: '', cell: marks },
	{ title: 'PREFIX', cell: ({ prefix }) => prefix },
	{ title: 'ID', align: 'right', cell: ({ pathId }) => pathId },
	{ title: 'NEXT HOP', cell: ({ nextHop }) => nextHop },
	{ title: 'PEER', cell: peerOf },
	{ title: 'PREF', align: 'right', cell: ({ localPref }) => localPref },
	{ title: 'MED', align: 'right', cell: ({ med }) => med },
	{ title: 'AS PATH', cell: ({ asPath, origin }) => `${asPath}${asPath === '' ? '' : ' '}${originLetters[origin]}` },
	{ title: 'COMMUNITIES', cell: attributes },
	{ title: 'ORIGINATOR', cell: ({ originatorId }) => originatorId },
	{ title: 'CLUSTERS', cell: ({ clusterList }) => clusterList.join(' ') },
	{ title: 'NOT USED', cell: ({ ineligible }) => ineligible && { text: ineligible, style: 'odd' } },
];

/** Paths, one a line, with the marks that routers use. */
export function routesScreen(screen: Screen): ListScreen<RouteView, { readonly truncated: boolean }> {
	const rows = new TableWriter(screen, columns, inOrder);
	let prefixes = 0;
	let last: string | undefined;
	return {
		add(route) {
			// The paths of a prefix come together.
			if (route.prefix !== last) prefixes++;
			last = route.prefix;
			return rows.add(route);
		},
		end({ truncated }) {
			if (rows.count === 0) return 'No routes.\n';
			const more = truncated ? '; there are more (--limit 0 shows all)' : '';
			const legend = paint(screen, 'dim', '* usable, > best, S stale; i igp, e egp, ? incomplete');
			return (
				`${rows.end()}\n${legend}\n${count(rows.count, 'path')} to ` +
				`${count(prefixes, 'prefix', 'prefixes')}${more}\n`
			);
		},
	};
}

/** Why the best path is the best, where it went, and what is known of the address. */
export function renderExplanation(screen: Screen, view: ExplanationView): string {
	return [
		addressFacts(screen, view.address),
		pathsPart(screen, view),
		...(view.passedOver ?? []).map((other) => `More specific, but not used:\n${pathsPart(screen, other)}`),
		kernelPart(screen, view),
		...(view.notes ?? []).map((note) => `Note: ${tame(note)}\n`),
		announcedPart(view),
	]
		.filter((part) => part !== '')
		.join('\n');
}

function addressFacts(screen: Screen, address: ExplanationView['address']): string {
	if (address === undefined) return '';
	const { pod, node, block, pool } = address;
	return facts(screen, [
		['Address', address.address],
		['Pod', pod],
		['Block', block === undefined ? undefined : `${block}${node === undefined ? '' : ` of node ${node}`}`],
		['Pool', pool],
	]);
}

function pathsPart(screen: Screen, { prefix, paths }: Pick<ExplanationView, 'prefix' | 'paths'>): string {
	if (paths.length === 0) return `${prefix}: no path\n`;
	const best = paths.find((path) => path.best);
	const head = best === undefined ? 'none is usable' : `the best is from ${peerOf(best) ?? 'unknown'}`;
	const verdict = ({
		best: wins,
		ineligible,
		lostAt,
	}: ExplainedPath): { readonly text: string; readonly style: Style } => {
		if (wins) return { text: 'best', style: 'good' };
		if (ineligible !== undefined) return { text: `not used: ${ineligible}`, style: 'odd' };
		return { text: lostAt === undefined ? '' : `fell at ${lostAt.step} (${lostAt.rfc})`, style: 'plain' };
	};
	const policy = ({ importedBy }: ExplainedPath) =>
		importedBy === undefined ? undefined : `${importedBy.policy}, term ${importedBy.term}`;
	const shown = columns.filter(({ title }) => title !== 'PREFIX' && title !== 'NOT USED');
	const rows = paths.toSorted((left, right) => Number(right.best) - Number(left.best));
	return `${paint(screen, 'bold', prefix)}: ${count(paths.length, 'path')}, ${head}\n\n${table<ExplainedPath>(
		screen,
		[...shown, { title: 'IMPORT POLICY', cell: policy }, { title: 'VERDICT', cell: verdict }],
		rows,
	)}`;
}

function kernelPart(screen: Screen, { kernel, paths }: ExplanationView): string {
	if (kernel === undefined) return '';
	if (kernel.length === 0) return paths.some(({ best }) => best) ? 'Kernel: no route\n' : '';
	return kernel
		.map(({ state, type, via, device, metric, reason }) => {
			const way =
				type === 'blackhole'
					? 'blackhole'
					: [via && `via ${via}`, device && `dev ${device}`, `metric ${metric}`].filter(Boolean).join(' ');
			const style = state === 'installed' ? 'good' : state === 'failed' ? 'bad' : 'odd';
			const why = reason === undefined ? '' : `: ${tame(reason)}`;
			return `Kernel: ${paint(screen, style, state)}${way === '' ? '' : `, ${way}`}${why}\n`;
		})
		.join('');
}

/** Peers by name, as many as fit a line. */
const mostNames = 10;

function announcedPart({ announced }: ExplanationView): string {
	if (announced === undefined) return '';
	const names = (peers: readonly string[]) => aFew(peers.map(tame), mostNames);
	const { to, withheld } = announced;
	return [
		to.length === 0 ? 'Announced to no peer\n' : `Announced to ${names(to)}\n`,
		...withheld.map(({ reason, peers }) => `Not announced to ${names(peers)}: ${tame(reason)}\n`),
	].join('');
}
