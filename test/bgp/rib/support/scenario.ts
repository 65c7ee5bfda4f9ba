import type { PathAttributes } from 'bgp-packet';
import type { Policy, RibPeerOptions } from '../../../../src/bgp/index.ts';
import { type PrefixKey, silentLogger } from '../../../../src/core/index.ts';
import { RibBench, type TestPeer } from '../../../support/rib-bench.ts';
import { expected, type ModelPath, type ModelPeer, type ModelPolicy, medSet } from './model.ts';

/** Numbers in [0, 1) from a seed (mulberry32). */
export function seeded(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
	};
}

const prefixes = [
	'10.1.0.0/16',
	'10.1.0.0/24',
	'10.1.1.0/24',
	'10.2.0.0/16',
	'10.2.128.0/17',
	'0.0.0.0/0',
	'10.3.3.3/32',
	'2001:db8::/32',
	'2001:db8:0:1::/64',
];

const reject = { action: 'reject', operations: [] } as const;
const community = 65000 * 0x1_0000 + 7;

/** Policies as data, and their effect. */
const policies: readonly { readonly policy: Policy; readonly model: ModelPolicy }[] = [
	{ policy: { name: 'all', terms: [], otherwise: 'accept' }, model: (attributes) => attributes },
	{ policy: { name: 'none', terms: [], otherwise: 'reject' }, model: () => undefined },
	{
		policy: {
			name: 'not 10.1',
			terms: [{ match: { prefixes: [{ prefix: '10.1.0.0/16' as PrefixKey, operator: 'in' }] }, ...reject }],
			otherwise: 'accept',
		},
		model: (attributes, prefix) => (prefix.startsWith('10.1.') ? undefined : attributes),
	},
	{
		policy: {
			name: 'mark',
			terms: [{ match: {}, action: 'accept', operations: [{ type: 'add-community', value: '65000:7' }] }],
			otherwise: 'reject',
		},
		model: (attributes) =>
			attributes.communities?.includes(community)
				? attributes
				: { ...attributes, communities: [...(attributes.communities ?? []), community] },
	},
	{
		policy: {
			name: 'prefer some of 10.2',
			terms: [
				{
					match: { prefixes: [{ prefix: '10.2.0.0/16' as PrefixKey, operator: 'in', length: { min: 17 } }] },
					action: 'continue',
					operations: [{ type: 'set-local-pref', value: 300 }],
				},
				{ match: { localPref: { min: 300 } }, action: 'accept', operations: [{ type: 'set-med', value: 5 }] },
				{ match: { communities: ['65000:7'] }, ...reject },
			],
			otherwise: 'accept',
		},
		model(attributes, prefix) {
			const changed = prefix === '10.2.128.0/17' ? { ...attributes, localPref: 300 } : attributes;
			if ((changed.localPref ?? 100) >= 300) {
				const result = { ...changed, med: 5 };
				medSet.add(result);
				return result;
			}
			return changed.communities?.includes(community) ? undefined : changed;
		},
	},
];

interface Live {
	readonly model: ModelPeer;
	readonly test: TestPeer;
	readonly addPathReceive: boolean;
	readonly options: RibPeerOptions;
	alive: boolean;
	/** Its announcements, by `prefix pathId`. */
	readonly said: Map<string, PathAttributes>;
}

/** The rates of the steps; the counts are tuned so that rare steps coincide. */
export interface ScenarioOptions {
	readonly steps: number;
	readonly addPath: boolean;
}

/** Plays a random scenario; returns the difference from the model, `undefined` if there is none. */
export function playScenario(seed: number, { steps, addPath }: ScenarioOptions): string[] {
	const random = seeded(seed);
	const pick = <T>(values: readonly T[]): T => values[Math.trunc(random() * values.length)] as T;
	const chance = (probability: number) => random() < probability;
	const self = { asNumber: 64512, routerId: 0x0a000001, clusterId: 0x0a0000ff, clientToClient: chance(0.8) };
	const bench = new RibBench(
		{ clusterId: self.clusterId, clientToClientReflection: self.clientToClient },
		random,
		silentLogger,
		{
			chunkBytes: pick([400, 1000]),
			behindBytes: pick([100, 400, 100_000]),
			walkPrefixes: pick([2, 5]),
			missedPrefixes: pick([1, 3]),
		},
	);
	const peers: Live[] = [];
	const local = new Map<string, PathAttributes>();

	const join = (): void => {
		const index = peers.length + 1;
		const external = chance(0.35);
		const client = !external && chance(0.7);
		const [importing, exporting] = [pick(policies), pick(policies)];
		const policed = external || chance(0.4);
		const name = `peer-${index}`;
		const [addPathReceive, addPathSend] = [addPath && chance(0.5), addPath && chance(0.5)];
		const addPathLimit = pick([0, 0, 2]);
		const secondBestPath = chance(0.3);
		const asNumber = external ? pick([65101, 65102]) : self.asNumber;
		const test = bench.peer(name, {
			options: {
				reflectorClient: client,
				addPathLimit,
				secondBestPath,
				...(policed ? { importPolicies: [importing.policy], exportPolicies: [exporting.policy] } : {}),
			},
			negotiated: external ? { kind: 'external', peerAsNumber: asNumber, fourOctetAs: chance(0.7) } : {},
			families: (['ipv4', 'ipv6'] as const).map((family) => ({
				family,
				addPathReceive,
				addPathSend,
				gracefulRestart: { forwarding: true },
			})),
		});
		const model: ModelPeer = {
			name,
			external,
			client,
			asNumber,
			routerId: test.negotiated.peerRouterId,
			index,
			importPolicy: policed ? importing.model : undefined,
			exportPolicy: policed ? exporting.model : undefined,
			addPathSend,
			addPathLimit,
			secondBestPath,
		};
		peers.push({ model, test, addPathReceive, options: test.options, alive: true, said: new Map() });
	};

	const attributes = (peer: Live): PathAttributes => {
		const tail = Array.from({ length: Math.trunc(random() * 3) }, () => pick([65101, 65102, 65103, 70000, 64512]));
		const asNumbers = peer.model.external ? [chance(0.95) ? peer.model.asNumber : 65109, ...tail] : tail;
		const communities = chance(0.4) ? [pick([community, community, 0xffffff01, 0xffffff02, 0xffff0000, 1])] : [];
		return {
			origin: pick(['igp', 'igp', 'egp']),
			asPath: asNumbers.length === 0 ? [] : [{ type: 'sequence', asNumbers }],
			nextHop: Uint8Array.of(10, 0, chance(0.95) ? 9 : 0, pick([1, 1, 2])),
			...(chance(0.5) ? { med: pick([1, 2, 3]) } : {}),
			...(peer.model.external ? {} : { localPref: pick([100, 100, 100, 200]) }),
			...(communities.length > 0 ? { communities } : {}),
			...(!peer.model.external && chance(0.15)
				? { originatorId: pick([5, 6, self.routerId]), clusterList: pick([[9], [9, 8], [self.clusterId]]) }
				: {}),
		};
	};

	const announce = (peer: Live): void => {
		const given = attributes(peer);
		const chosen = prefixes.filter(() => chance(0.3));
		for (const ipv6 of [false, true]) {
			const family = chosen.filter((prefix) => prefix.includes(':') === ipv6);
			if (family.length === 0) continue;
			const pathId = peer.addPathReceive ? pick([1, 2, 3]) : undefined;
			const sent = ipv6
				? { ...given, nextHop: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, pick([1, 2])) }
				: given;
			peer.test.announce(family, sent, pathId);
			for (const prefix of family) peer.said.set(`${prefix} ${pathId ?? 0}`, sent);
		}
	};

	const withdraw = (peer: Live): void => {
		for (const ipv6 of [false, true]) {
			const family = prefixes.filter((prefix) => prefix.includes(':') === ipv6 && chance(0.4));
			if (family.length === 0) continue;
			const pathId = peer.addPathReceive ? pick([1, 2, 3]) : undefined;
			peer.test.withdraw(family, pathId);
			for (const prefix of family) peer.said.delete(`${prefix} ${pathId ?? 0}`);
		}
	};

	const reconfigure = (peer: Live): void => {
		const [importing, exporting] = [pick(policies), pick(policies)];
		peer.model.importPolicy = importing.model;
		peer.model.exportPolicy = exporting.model;
		bench.rib.reconfigure(peer.model.name, {
			...peer.options,
			importPolicies: [importing.policy],
			exportPolicies: [exporting.policy],
		});
		Object.assign(peer.test.options, { importPolicies: [importing.policy], exportPolicies: [exporting.policy] });
	};

	const step = (): void => {
		const peer = pick(peers);
		const roll = random();
		if (peers.length < 7 && roll < 0.06) join();
		else if (roll < 0.14) {
			const prefix = pick(prefixes.slice(0, 7));
			if (local.delete(prefix)) bench.rib.withdrawOrigin(prefix as PrefixKey);
			else {
				local.set(prefix, { origin: 'igp', asPath: [] });
				bench.rib.originate(prefix as PrefixKey);
			}
		} else if (roll < 0.3) {
			for (let turns = Math.trunc(random() * 4); turns >= 0; turns--) bench.turn();
		} else if (!peer.alive) {
			if (!chance(0.5)) return;
			peer.alive = true;
			peer.test.restart();
		} else if (roll < 0.36) peer.test.stalled = true;
		else if (roll < 0.4) peer.test.lazy = !peer.test.stalled;
		else if (roll < 0.46) peer.test.drain();
		else if (roll < 0.5) {
			peer.alive = false;
			peer.said.clear();
			peer.test.end('forget');
		} else if (roll < 0.53) {
			// A restart with preserved routes: immediate reconnect, some routes announced again,
			// the rest swept.
			peer.test.end('retain');
			if (chance(0.5)) bench.run();
			peer.test.restart();
			for (const key of [...peer.said.keys()]) if (chance(0.5)) peer.said.delete(key);
			for (const [key, said] of peer.said) {
				const [prefix = '', pathId] = key.split(' ');
				peer.test.announce([prefix], said, peer.addPathReceive ? Number(pathId) : undefined);
			}
			peer.test.endOfRib('ipv4');
			peer.test.endOfRib('ipv6');
		} else if (roll < 0.56) reconfigure(peer);
		else if (roll < 0.6) peer.test.receiver.refresh(pick(['ipv4', 'ipv6']), 'request');
		else if (roll < 0.72) withdraw(peer);
		else announce(peer);
	};

	join();
	join();
	join();
	for (let count = 0; count < steps; count++) step();
	for (const peer of peers) if (peer.alive) peer.test.drain();
	bench.run();

	const paths = new Map<string, ModelPath[]>(prefixes.map((prefix) => [prefix, []]));
	for (const [prefix, given] of local) paths.get(prefix)?.push({ peer: undefined, pathId: 0, attributes: given });
	for (const peer of peers) {
		if (!peer.alive) continue;
		for (const [key, said] of peer.said) {
			const [prefix = '', pathId] = key.split(' ');
			paths.get(prefix)?.push({ peer: peer.model, pathId: Number(pathId), attributes: said });
		}
	}
	const problems: string[] = [];
	for (const peer of peers) {
		if (!peer.alive) continue;
		const wanted = [...expected(self, paths, peer.model)]
			.flatMap(([prefix, all]) => all.map((one) => `${prefix} ${text(one)}`))
			.sort();
		const held = [...peer.test.held].map(([key, one]) => `${key.split(' ')[0]} ${text(one)}`).sort();
		for (const line of wanted) if (!held.includes(line)) problems.push(`${peer.model.name} lacks ${line}`);
		for (const line of held) if (!wanted.includes(line)) problems.push(`${peer.model.name} holds ${line}`);
		if (wanted.length !== held.length)
			problems.push(`${peer.model.name} holds ${held.length} paths, not ${wanted.length}`);
	}
	for (const peer of peers) if (peer.alive) peer.test.end('forget');
	for (const prefix of local.keys()) bench.rib.withdrawOrigin(prefix as PrefixKey);
	bench.run();
	const { prefixes: left, paths: pathsLeft, attributeSets } = bench.rib.statistics();
	if (left.ipv4 + left.ipv6 + pathsLeft.ipv4 + pathsLeft.ipv6 + attributeSets > 0) {
		problems.push(`something is left when every peer has gone: ${JSON.stringify(bench.rib.statistics())}`);
	}
	return problems;
}

/** Attributes with keys in one order and bytes as numbers. */
function text(attributes: PathAttributes): string {
	return JSON.stringify(
		Object.fromEntries(Object.entries(attributes).sort(([left], [right]) => (left < right ? -1 : 1))),
		(_, value: unknown) => (value instanceof Uint8Array ? [...value].join('.') : value),
	);
}
