import { type NotificationView, type PeerView, type PrefixCounts, stateNames } from '../../core/index.ts';
import { ago, bytes, count, type ListScreen, moment, type Screen, type Style } from './screen.ts';
import { type Cell, type Column, facts, TableWriter, table } from './table.ts';

function stateCell({ state, enabled }: PeerView): { readonly text: string; readonly style: Style } {
	if (!enabled) return { text: 'Disabled', style: 'dim' };
	return { text: stateNames[state], style: state === 'established' ? 'good' : state === 'idle' ? 'bad' : 'odd' };
}

function kindOf({ kind, reflectorClient, dynamic }: PeerView): string {
	return `${reflectorClient ? 'client' : kind}${dynamic ? ', dynamic' : ''}`;
}

const total = ({ state, prefixes }: PeerView, of: (counts: PrefixCounts) => number): Cell =>
	state === 'established' ? prefixes.reduce((sum, counts) => sum + of(counts), 0) : undefined;

const columns = (screen: Screen): readonly Column<PeerView>[] => [
	{ title: 'PEER', cell: ({ name }) => name },
	{ title: 'DESCRIPTION', cell: ({ description }) => description },
	{ title: 'ADDRESS', cell: ({ name, address }) => (name === address ? undefined : address) },
	{ title: 'AS', align: 'right', cell: ({ asNumber }) => asNumber },
	{ title: 'TYPE', cell: kindOf },
	{ title: 'STATE', cell: stateCell },
	{ title: 'SINCE', align: 'right', cell: ({ since }) => ago(screen, since) },
	{ title: 'RECEIVED', align: 'right', cell: (peer) => total(peer, ({ received }) => received) },
	{ title: 'ACCEPTED', align: 'right', cell: (peer) => total(peer, ({ accepted }) => accepted) },
	{ title: 'BEST', align: 'right', cell: (peer) => total(peer, ({ best }) => best) },
	{ title: 'SENT', align: 'right', cell: (peer) => total(peer, ({ advertised }) => advertised) },
	{
		title: 'PROBLEM',
		cell: ({ problems = [] }) => {
			const ids = problems.map(({ id }) => id).filter((id) => id !== 'session-down');
			return ids.length === 0 ? undefined : { text: ids.join(', '), style: 'odd' };
		},
	},
	{ title: 'LAST ERROR', cell: ({ state, lastError }) => (state === 'established' ? undefined : lastError?.message) },
];

/** All neighbours, one a line, and how many of them are up. */
export function peersScreen(screen: Screen): ListScreen<PeerView, unknown> {
	const rows = new TableWriter(screen, columns(screen));
	let up = 0;
	return {
		add(peer) {
			if (peer.state === 'established') up++;
			return rows.add(peer);
		},
		end: () => (rows.count === 0 ? 'No peers.\n' : `${rows.end()}\n${count(rows.count, 'peer')}, ${up} established\n`),
	};
}

/** Everything that is known of one neighbour. */
export function renderPeer(screen: Screen, peer: PeerView): string {
	const { text: state, style } = stateCell(peer);
	const { capabilities, timers } = peer;
	return [
		facts(screen, [
			['Peer', { text: peer.name, style: 'bold' }],
			['Description', peer.description],
			['Address', `${peer.address} port ${peer.port}`],
			['AS', `${peer.asNumber}, ${kindOf(peer)}; ours ${peer.localAsNumber}`],
			['State', { text: `${state}, since ${moment(peer.since)} (${ago(screen, peer.since)})`, style }],
			['Established', peer.establishedCount === 0 ? 'never' : count(peer.establishedCount, 'time')],
			['Identifier', peer.routerId],
			['Local address', peer.localAddress],
			['Mode', peer.passive ? 'passive: the peer connects' : undefined],
			['Hold time', holdTime(peer)],
			['Options', optionsText(peer)],
			['Timers', timers === undefined ? undefined : Object.entries(timers).map(timerText).join(', ')],
			['Malformed UPDATEs', malformedText(peer)],
			['In use', capabilities?.negotiated.join(', ')],
			[
				'Last error',
				peer.lastError && { text: `${moment(peer.lastError.at)} ${peer.lastError.message}`, style: 'bad' },
			],
			...(peer.problems ?? []).map(
				({ id, reason, remedy, severity }) =>
					['Problem', { text: `${id}: ${reason}. ${remedy}`, style: severity === 'error' ? 'bad' : 'odd' }] as const,
			),
			['NOTIFICATION sent', notification(peer.lastNotificationSent)],
			['NOTIFICATION received', notification(peer.lastNotificationReceived)],
		]),
		capabilities === undefined ? '' : capabilityTable(screen, capabilities),
		prefixTable(screen, peer.prefixes),
		messageTable(screen, peer.messages),
	]
		.filter((part) => part !== '')
		.join('\n');
}

function holdTime({ holdTimeSeconds, keepaliveSeconds }: PeerView): string | undefined {
	if (holdTimeSeconds === undefined) return undefined;
	return holdTimeSeconds === 0
		? 'none'
		: `${holdTimeSeconds} s, keepalives every ${keepaliveSeconds ?? holdTimeSeconds / 3} s`;
}

/** `holdTimeSeconds 9, reflectorClient, addPath {"receive":true,"send":true}`. */
function optionsText({ options = {} }: PeerView): string | undefined {
	const texts = Object.entries(options).map(([name, value]) => {
		if (value === true) return name;
		return `${name} ${typeof value === 'string' ? value : (JSON.stringify(value) ?? 'none')}`;
	});
	return texts.length === 0 ? undefined : texts.join(', ');
}

/** Nothing where nothing was wrong. */
function malformedText({ malformed }: PeerView): Cell {
	if (malformed === undefined) return undefined;
	const { treatedAsWithdraw, attributesDiscarded } = malformed;
	const parts = [
		...(treatedAsWithdraw > 0 ? [`${treatedAsWithdraw} treated as withdrawals`] : []),
		...(attributesDiscarded > 0 ? [`${attributesDiscarded} used without an attribute`] : []),
	];
	return parts.length === 0 ? undefined : { text: parts.join(', '), style: 'bad' };
}

const timerText = ([name, seconds]: readonly [string, number]): string =>
	`${name} in ${Math.round(seconds * 10) / 10} s`;

function notification(view: NotificationView | undefined): string | undefined {
	if (view === undefined) return undefined;
	const text = view.text === undefined || view.text === '' ? '' : ` "${view.text}"`;
	return (
		`${moment(view.at)} ${view.code}/${view.subcode} ` +
		`${view.name}${text}${view.dataHex === '' || text !== '' ? '' : ` data ${dataText(view.dataHex)}`}`
	);
}

/** A whole message of the peer may be in it; a screen has the beginning, `--json` all. */
function dataText(hex: string): string {
	const octets = hex.length / 2;
	return octets <= mostDataOctets ? hex : `${hex.slice(0, mostDataOctets * 2)}... (${octets} octets)`;
}

const mostDataOctets = 32;

/** What a capability is, without its values: both sides' are put on one line. */
const subject = (text: string): string =>
	text
		.split(' ')
		.slice(0, /^(multiprotocol|unknown) /.test(text) ? 2 : 1)
		.join(' ');

function capabilityTable(screen: Screen, { sent, received }: NonNullable<PeerView['capabilities']>): string {
	const of = (list: readonly string[], name: string) => list.find((text) => subject(text) === name);
	const names = [...new Set([...sent, ...received].map(subject))];
	return table<string>(
		screen,
		[
			{ title: 'CAPABILITY SENT', cell: (name) => of(sent, name) ?? '-' },
			{ title: 'RECEIVED', cell: (name) => of(received, name) ?? '-' },
		],
		names,
	);
}

function prefixTable(screen: Screen, prefixes: readonly PrefixCounts[]): string {
	if (prefixes.length === 0) return '';
	return table<PrefixCounts>(
		screen,
		[
			{ title: 'PREFIXES', cell: ({ family }) => family },
			{ title: 'RECEIVED', align: 'right', cell: ({ received }) => received },
			{ title: 'ACCEPTED', align: 'right', cell: ({ accepted }) => accepted },
			{ title: 'BEST', align: 'right', cell: ({ best }) => best },
			{ title: 'SENT', align: 'right', cell: ({ advertised }) => advertised },
			{ title: 'STALE', align: 'right', cell: ({ stale }) => stale },
		],
		prefixes,
	);
}

function messageTable(screen: Screen, messages: PeerView['messages']): string {
	const kinds = ['open', 'update', 'notification', 'keepalive', 'refresh'] as const;
	const rows = [
		...kinds.map((kind) => ({
			name: kind === 'refresh' ? 'route-refresh' : kind,
			received: String(messages.received[kind]),
			sent: String(messages.sent[kind]),
		})),
		{ name: 'bytes', received: bytes(messages.received.bytes), sent: bytes(messages.sent.bytes) },
	];
	return table<(typeof rows)[number]>(
		screen,
		[
			{ title: 'MESSAGES', cell: ({ name }) => name },
			{ title: 'RECEIVED', align: 'right', cell: ({ received }) => received },
			{ title: 'SENT', align: 'right', cell: ({ sent }) => sent },
		],
		rows,
	);
}
