import { createHash } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import type { CellRequest, Outcome, PolicyBackend } from '../../lab/policy-table/backend.ts';
import type { Party, PreparedStep } from '../../lab/policy-table/cluster.ts';
import { openEbpf } from '../../lab/policy-table/ebpf-enforcer.ts';
import { EvaluateBackend } from '../../lab/policy-table/evaluate-backend.ts';
import { type Enforcer, FramesBackend } from '../../lab/policy-table/frames-backend.ts';
import { hostsForPrograms } from '../../src/ebpf/index.ts';
import {
	type Direction,
	type DirectionPolicy,
	type HostEndpoint,
	type NodePolicy,
	type Policy,
	portProtocols,
	type Rule,
	type SideMatch,
} from '../../src/policy/index.ts';
import { direction, nodePolicy, settings, workload } from '../nftables/fixtures.ts';
import { noNamespaces } from '../support/namespace.ts';
import { peers, pods, policies, sets, stack } from './scenes.ts';
import { noBpf } from './support.ts';

/** Random policies of a host endpoint in all stages: rules, programs and `evaluate` agree about real frames. */

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: host endpoints by nftables beside eBPF: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const seedText = process.env['EBPF_SEED'];
const runs = Number(process.env['EBPF_RUNS'] ?? 10);

const stacks = fc.record({ ingress: stack('ingress'), egress: stack('egress') });
const drawnHost = fc.record({ sets, policies, normal: stacks, forward: stacks, untracked: stacks, preDnat: stacks });
type DrawnHost = typeof drawnHost extends fc.Arbitrary<infer T> ? T : never;

/** Keys of policies of forwarded packets, whose egress rules name no source. */
const forwardKey = (key: string): string => `forward-${key}`;

/** As resources give them: ports with a protocol that has some. Source ports identify the frames. */
function proper(rule: Rule): Rule {
	const hasPorts = rule.protocol !== undefined && portProtocols.has(rule.protocol);
	const side = ({ ports, notPorts, addressPortSets, ...rest }: SideMatch, isDestination: boolean): SideMatch => ({
		...rest,
		...(isDestination && hasPorts && ports !== undefined ? { ports } : {}),
		...(isDestination && hasPorts && notPorts !== undefined ? { notPorts } : {}),
		...(isDestination && rule.protocol === undefined && addressPortSets !== undefined ? { addressPortSets } : {}),
	});
	return { ...rule, source: side(rule.source, false), destination: side(rule.destination, true) };
}

function settled(one: DirectionPolicy, changes: Partial<DirectionPolicy>, key = (name: string) => name) {
	const tiers = one.tiers.map((tier, index) => ({
		...{ ...tier, tier: `${tier.tier}${index}`, policies: tier.policies.map(key) },
		...(changes.otherwise === 'continue' ? { defaultAction: 'pass' as const } : {}),
	}));
	const rest = { direction: one.direction, tiers, profiles: one.profiles, otherwise: one.otherwise, ...changes };
	return { ...rest, id: `d${createHash('sha256').update(JSON.stringify(rest)).digest('hex').slice(0, 20)}` };
}

function policyOf(drawn: DrawnHost): NodePolicy {
	const both = (stage: { readonly [toward in Direction]: DirectionPolicy }, changes: Partial<DirectionPolicy>) => ({
		ingress: settled(stage.ingress, changes),
		egress: settled(stage.egress, changes),
	});
	const forward = (toward: Direction) =>
		settled(drawn.forward[toward], { otherwise: 'allow', profiles: [] }, forwardKey);
	const early = { otherwise: 'continue', profiles: [] } as const;
	const host: HostEndpoint = {
		...{ type: 'host', key: 'uplink', interfaceName: 'eth0' },
		normal: both(drawn.normal, { otherwise: 'deny' }),
		forward: { ingress: forward('ingress'), egress: forward('egress') },
		preDnat: { ingress: settled(drawn.preDnat.ingress, early) },
		untracked: both(drawn.untracked, early),
	};
	const open = { ...direction('ingress', []), otherwise: 'allow' as const };
	const pod = (name: string, address: string) => ({
		...workload(name, address, []),
		...{ ingress: open, egress: { ...open, id: 'dopen', direction: 'egress' as const } },
	});
	const book = drawn.policies.flatMap((one): Policy[] => {
		const [ingress, egress] = [one.ingress.map(proper), one.egress.map(proper)];
		const key = forwardKey(one.key);
		const named = egress.map((rule) => ({ ...rule, source: {} }));
		return [
			{ ...one, ingress, egress },
			{ ...one, key, name: key, ingress, egress: named },
		];
	});
	return {
		...nodePolicy([pod('4', pods.ipv4), pod('6', pods.ipv6)], book, [], { hosts: new Map([[host.key, host]]) }),
		sets: new Map(
			[...drawn.sets, { id: settings.nodes, type: 'nets' as const, meaning: '', members: new Set<string>() }].map(
				(one) => [one.id, one],
			),
		),
		settings,
	};
}

const node = 'here';
const nodeAddress = '10.0.0.1';
const party = (name: string, place: Party['place'], address: string): Party => ({ name, place, address });
const self = party('node', { type: 'node', node }, nodeAddress);

/** Into the node and out of it, to its pods and from them. */
const cells: readonly CellRequest[] = (['ipv4', 'ipv6'] as const).flatMap((family) => {
	const pod = party('pod', { type: 'pod', node, key: family === 'ipv4' ? 'ns/4' : 'ns/6' }, pods[family]);
	const probes = [
		...['TCP', 'UDP', 'SCTP'].flatMap((protocol) => [80, 53, 22, 65_535].map((port) => ({ protocol, port }))),
		{ protocol: family === 'ipv4' ? 'ICMP' : 'ICMPv6', type: family === 'ipv4' ? 8 : 128, code: 0 },
	];
	return peers[family]
		.filter((address) => !address.startsWith('::ffff:'))
		.slice(0, 4)
		.flatMap((address) => {
			const far = party(address, { type: 'outside' }, address);
			const ends = family === 'ipv4' ? [self, pod] : [pod];
			return ends.flatMap((end) =>
				probes.flatMap((probe) => [
					{ from: far, to: end, probe },
					{ from: end, to: far, probe },
				]),
			);
		});
});

class Backends {
	readonly #frames: Readonly<Record<string, PolicyBackend>>;
	readonly #evaluate = new EvaluateBackend();

	constructor(t: ExecutionContext, alter: (enforcer: Enforcer) => Enforcer = (enforcer) => enforcer) {
		const prefix = `bmy${process.pid}`;
		this.#frames = {
			nftables: new FramesBackend(`${prefix}n`),
			// Behind these programs no rule judges a host endpoint.
			programs: new FramesBackend(`${prefix}p`, (name) => alter(openEbpf(name, 'best', { rulesOfHosts: false }))),
			'programs with their gate': new FramesBackend(`${prefix}g`, (name) => openEbpf(name)),
		};
		for (const backend of Object.values(this.#frames)) t.teardown(() => backend.close());
	}

	/** The first cell about which the backends do not agree. */
	async difference(policy: NodePolicy, tally: Map<Outcome, number>): Promise<string | undefined> {
		const places = new Map([...cells.flatMap(({ from, to }) => [from, to])].map((one) => [one.address, one]));
		const step = { parties: places, nodes: new Map([[node, { policy, change: undefined }]]) };
		const found = new Map<string, readonly Outcome[]>();
		for (const [name, backend] of [['evaluate', this.#evaluate] as const, ...Object.entries(this.#frames)]) {
			await backend.begin('');
			await backend.apply(step as unknown as PreparedStep);
			found.set(name, await backend.probe(cells));
		}
		const passes = (name: string, index: number) => found.get(name)?.[index] === '.';
		for (const [index, { from, to, probe }] of cells.entries()) {
			const wanted = passes('evaluate', index);
			const outcome = wanted ? '.' : 'denied';
			tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
			const wrong = [...found.keys()].filter((name) => passes(name, index) !== wanted);
			if (wrong.length > 0)
				return `${from.name} to ${to.name} ${JSON.stringify(probe)}: evaluate ${outcome}, not ${wrong.join()}`;
		}
		return undefined;
	}
}

kernelTest(
	'rules and programs of a host endpoint pass the same frames for random policies of all stages',
	async (t) => {
		t.timeout(runs * 30_000 + 300_000);
		const seed = seedText === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seedText);
		t.log(`seed ${seed}; again with EBPF_SEED=${seed}, more with EBPF_RUNS`);
		const backends = new Backends(t);
		const tally = new Map<Outcome, number>();
		let found: string | undefined;
		const property = fc.asyncProperty(drawnHost, async (drawn) => {
			const policy = policyOf(drawn);
			t.deepEqual([...hostsForPrograms(policy).left], [], 'programs judge all of it');
			// A frame that a busy machine lost is no difference: it is sent again.
			found = (await backends.difference(policy, tally)) && (await backends.difference(policy, tally));
			return found === undefined;
		});
		const { failed, counterexample, errorInstance } = await fc.check(property, {
			numRuns: runs,
			seed,
			endOnFailure: true,
		});
		t.log(Object.fromEntries(tally));
		t.false(
			failed,
			`${found ?? errorInstance} ${JSON.stringify(counterexample, (_, value) => (value instanceof Set ? [...value] : value))}`,
		);
		const [allowed = 0, denied = 0] = [tally.get('.'), tally.get('denied')];
		t.true(allowed > (allowed + denied) / 20 && denied > (allowed + denied) / 20);
	},
);

kernelTest('the frames notice early stages that programs do not judge', async (t) => {
	t.timeout(300_000);
	const without = (policy: NodePolicy, stage: 'preDnat' | 'untracked'): NodePolicy => {
		const hosts = [...policy.hosts].map(([key, host]) => {
			const nothing = { ingress: settled({ ...host[stage].ingress, tiers: [] }, {}) };
			const egress = settled({ ...host.untracked.egress, tiers: [] }, {});
			return [key, { ...host, [stage]: stage === 'preDnat' ? nothing : { ...nothing, egress } }] as const;
		});
		return { ...policy, hosts: new Map(hosts) };
	};
	let stage: 'preDnat' | 'untracked' = 'preDnat';
	const backends = new Backends(t, (enforcer) => {
		const { kernel } = enforcer;
		return {
			...enforcer,
			kernel: { ...kernel, name: kernel.name, sync: (policy) => kernel.sync(without(policy, stage)) },
		};
	});
	// Not every policy decides something in a stage. As many as it takes: what is drawn for a seed
	// changes with the generator.
	const samples = fc.sample(drawnHost, { numRuns: 40, seed: 79_150_548 });
	for (stage of ['preDnat', 'untracked'] as const) {
		const found: string[] = [];
		let tried = 0;
		for (const drawn of samples) {
			if (found.length > 0) break;
			tried++;
			found.push(...[await backends.difference(policyOf(drawn), new Map())].filter((one) => one !== undefined));
		}
		t.log(`${stage}: noticed with policy ${tried}`);
		t.true(found.length > 0, stage);
		t.true(
			found.every((text) => text.endsWith('not programs')),
			found.join(),
		);
	}
});
