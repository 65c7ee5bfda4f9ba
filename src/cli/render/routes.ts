import type { ExplanationView, RouteView } from '../../core/index.ts';
import { inOrder } from './order.ts';
import { count, paint, type Screen, type Style } from './screen.ts';
import { type Column, table } from './table.ts';

const originLetters = { igp: 'i', egp: 'e', incomplete: '?' } as const;

function marks({ best, stale, ineligible }: RouteView): { readonly text: string; readonly style: Style } {
	const eligible = ineligible === undefined ? '*' : ' ';
	return { text: `${stale ? 'S' : eligible}${best ? '>' : ' '}`, style: best ? 'good' : ineligible === undefined ? 'plain' : 'dim' };
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
	[...communities.map((community) => communityNames[community] ?? community), ...largeCommunities, ...extendedCommunities].join(' ');

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
export function renderRoutes(screen: Screen, routes: readonly RouteView[], truncated: boolean): string {
	if (routes.length === 0) return 'No routes.\n';
	const prefixes = new Set(routes.map(({ prefix }) => prefix)).size;
	const more = truncated ? '; there are more (--limit 0 shows all)' : '';
	const legend = paint(screen, 'dim', '* usable, > best, S stale; i igp, e egp, ? incomplete');
	return `${table(screen, columns, inOrder(routes))}\n${legend}\n${count(routes.length, 'path')} to ${count(prefixes, 'prefix', 'prefixes')}${more}\n`;
}

type Explained = ExplanationView['paths'][number];

/** Why the best path is the best: each other one with the step at which it fell. */
export function renderExplanation(screen: Screen, { prefix, paths }: ExplanationView): string {
	if (paths.length === 0) return `${prefix}: no path\n`;
	const best = paths.find((path) => path.best);
	const head = best === undefined ? 'none is usable' : `the best is from ${peerOf(best) ?? 'unknown'}`;
	const verdict = ({ best: wins, ineligible, lostAt }: Explained): { readonly text: string; readonly style: Style } => {
		if (wins) return { text: 'best', style: 'good' };
		if (ineligible !== undefined) return { text: `not used: ${ineligible}`, style: 'odd' };
		return { text: lostAt === undefined ? '' : `fell at ${lostAt.step} (${lostAt.rfc})`, style: 'plain' };
	};
	const shown = columns.filter(({ title }) => title !== 'PREFIX' && title !== 'NOT USED');
	const rows = paths.toSorted((left, right) => Number(right.best) - Number(left.best));
	return `${paint(screen, 'bold', prefix)}: ${count(paths.length, 'path')}, ${head}\n\n${table<Explained>(screen, [...shown, { title: 'VERDICT', cell: verdict }], rows)}`;
}
