import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { PeerView } from '../../src/core/index.ts';
import { limitNotes, problemsOfPeers, withheldBySessions, withProblems } from '../../src/daemon/peer-problems.ts';
import type { Rooms } from '../../src/daemon/rooms.ts';
import { type ProblemId, type ProblemRow, problems } from '../../src/health/index.ts';

// The only fields that problems depend on.
const peer = (name: string, more: Partial<PeerView> = {}) =>
	({ name, address: '10.0.1.1', state: 'established', enabled: true, dynamic: false, ...more }) as PeerView;
const peers = [
	peer('a'),
	peer('b', { state: 'active', lastError: { at: '', message: 'connect: ECONNREFUSED' } }),
	peer('c', { state: 'idle', enabled: false }),
	peer('d'),
	peer('e', { state: 'idle', dynamic: true }),
];
const rooms = {
	rib: {
		withoutNextHop: () => [{ peer: 'a', family: 'ipv6' }],
		nearLimit: () => [
			{ peer: 'a', family: 'ipv4', received: 100, limit: 100, action: 'discard' },
			{ peer: 'd', family: 'ipv4', received: 95, limit: 100, action: 'shutdown' },
		],
	},
	speaker: {
		withoutKey: () => [{ peer: 'b', range: 'rack' }],
		eachPeerOptions: () => peers,
		stateOf: (name: string) => peers.find((other) => other.name === name)?.state,
		peer: (name: string) => peers.find((other) => other.name === name),
	},
} as unknown as Pick<Rooms, 'rib' | 'speaker'>;

test('each peer has the problems that status has of it', (t) => {
	const problemsOf = problemsOfPeers(rooms);
	const found = Object.fromEntries(peers.map((view) => [view.name, problemsOf(view).map(({ id }) => id)]));
	t.deepEqual(found, {
		a: ['no-next-hop', 'prefix-limit'],
		b: ['session-down', 'peer-key-missing'],
		c: [],
		d: ['prefix-limit'],
		e: [],
	});
	for (const view of peers)
		for (const { id, reason, remedy } of problemsOf(view)) {
			t.is(remedy, problems[id as ProblemId].remedy);
			t.true(reason.length > 5);
		}
	t.is(withProblems(peer('c'), problemsOf).problems, undefined);
	t.is(withProblems(peer('d'), problemsOf).problems?.length, 1);
});

test('every problem about a peer is shown with the peer', (t) => {
	const problemsOf = problemsOfPeers(rooms);
	const shown = new Set(peers.flatMap((view) => problemsOf(view).map(({ id }) => id)));
	const rows: [string, ProblemRow][] = Object.entries(problems);
	t.deepEqual(
		rows
			.filter(([, { about }]) => about === 'peer')
			.map(([id]) => id)
			.sort(),
		[...shown].sort(),
	);
});

test('a route is not announced to peers without a session, by reason', (t) => {
	t.deepEqual(withheldBySessions(rooms), [
		{ reason: 'no session (active: connect: ECONNREFUSED)', peers: ['b'] },
		{ reason: 'the peer is disabled', peers: ['c'] },
		{ reason: 'no session (idle)', peers: ['e'] },
	]);
	t.deepEqual(limitNotes(rooms), ['further ipv4 prefixes of a are not taken: its limit is 100']);
});

test('every problem is documented, has a page that exists, and an identifier of one form', (t) => {
	const page = readFileSync('docs/reference/health.md', 'utf8');
	const rows: [string, ProblemRow][] = Object.entries(problems);
	for (const [id, { docs, text, remedy }] of rows) {
		t.regex(id, /^[a-z0-9]+(-[a-z0-9]+)*$/);
		t.true(page.includes(`\`${id}\``), `${id} is not in docs/reference/health.md`);
		t.true(existsSync(`docs/${docs}`), `docs/${docs} of ${id} does not exist`);
		t.true(text.endsWith('.') && remedy.length > 10, id);
	}
});
