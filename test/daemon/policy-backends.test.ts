import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ethernetFrame, ipPacket, readPacket } from '../../lab/frames/packets.ts';
import { namespacePath } from '../../lab/frames/sockets.ts';
import { NodeNetwork, openWireNamespace } from '../../lab/policy-table/frames-network.ts';
import type { PolicyDropEvent } from '../../src/control/index.ts';
import { type Clock, parseAddress, silentLogger, systemClock } from '../../src/core/index.ts';
import { PolicyBackends, type PolicyBackendsDependencies } from '../../src/daemon/policy/backends.ts';
import { adoptEbpf, EbpfUnavailableError, openEbpf, removeEbpf } from '../../src/daemon/policy/ebpf.ts';
import { findForeignRules } from '../../src/daemon/policy/foreign-rules.ts';
import { ProgramEvents } from '../../src/daemon/policy/program-events.ts';
import { ClsactAttacher, loadProbe, policyMapDefinitions, TcxAttacher } from '../../src/ebpf/index.ts';
import { Conntrack, check, type Flow, libc, loadRuleset, Rtnetlink, systemEnvironment } from '../../src/linux/index.ts';
import { ConnectionCutter, NftablesPolicy } from '../../src/nftables/index.ts';
import type { HostEndpoint, NodePolicy, Policy } from '../../src/policy/index.ts';
import { noBpf } from '../ebpf/support.ts';
import { FakeClock } from '../fakes/clock.ts';
import { direction, nets, noChange, nodePolicy, policy, rule, workload } from '../nftables/fixtures.ts';
import { pinDirectory } from '../support/bpffs.ts';
import { eventually } from '../support/eventually.ts';
import { noNamespaces } from '../support/namespace.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: nftables and eBPF as one data plane: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const cloneNewNet = 0x40000000;
const prefix = `bmd${process.pid}`;
const run = (command: string, ...words: string[]) => execFileSync(command, words, { env: systemEnvironment() });
const [a, b] = ['10.1.0.2', '10.1.0.3'] as const;
type Pod = typeof a | typeof b;

const port = (number: number) => ({ ports: { ranges: [{ first: number, last: number }], sets: [] } });
const dns = rule('allow', { protocol: 17, destination: port(53) });
/** Pod a asks pod b, and b may only answer. */
const asks = policy('asks', [], [dns]);
const answers = policy('answers', [dns], []);
const closed = policy('closed', [], []);
const state: NodePolicy = nodePolicy(
	[workload('a', a, [closed], [asks]), workload('b', b, [answers], [closed])],
	[asks, answers, closed],
	[],
);

/** A node with two pods; this process is in its namespace from now on. */
function openNode(t: ExecutionContext, letter: string): Traffic {
	const network = openNetwork(t, letter, [
		{ interfaceName: 'calia', address: a },
		{ interfaceName: 'calib', address: b },
	]);
	return new Traffic(network);
}

function openNetwork(
	t: ExecutionContext,
	letter: string,
	pods: Parameters<NodeNetwork['setPods']>[0] = [],
): NodeNetwork {
	const wires = openWireNamespace(`${prefix}${letter}w`);
	let index = 0;
	const network = new NodeNetwork(`${prefix}${letter}n`, `${prefix}${letter}w`, () => index++);
	t.teardown(() => {
		network.close();
		wires.close();
	});
	network.setPods(pods);
	const fd = openSync(namespacePath(network.namespace), 'r');
	check('setns', libc().setns(fd, cloneNewNet));
	closeSync(fd);
	return network;
}

/** UDP between the pods, counted. */
class Traffic {
	readonly #network: NodeNetwork;
	#denied = 10_000;
	readonly sent = { asked: 0, answered: 0 };
	readonly received = { asked: 0, answered: 0, denied: 0 };

	constructor(network: NodeNetwork) {
		this.#network = network;
	}

	/** One packet of the connection in each direction, the answer first, and packets that no rule allows. */
	exchange(): void {
		if (this.sent.asked > 0) {
			this.#send(b, a, 53, 4000);
			this.sent.answered++;
		}
		this.#send(a, b, 4000, 53);
		this.sent.asked++;
		this.#denied = this.#denied >= 60_000 ? 10_000 : this.#denied + 1;
		this.#send(b, a, this.#denied, 53);
		this.#send(a, b, this.#denied, 54);
		this.count();
	}

	/** Exchanges until the work is done. */
	async during<T>(work: Promise<T>): Promise<T> {
		let done = false;
		const finished = work.finally(() => {
			done = true;
		});
		while (!done) {
			this.exchange();
			await new Promise((resolve) => setImmediate(resolve));
		}
		return finished;
	}

	/** Reads what arrived. */
	count(): void {
		for (const { wire } of this.#network.pods.values())
			for (let frame = wire.receive(); frame !== undefined; frame = wire.receive()) {
				const facts = readPacket(frame.subarray(14));
				// The kernel speaks of itself by ICMPv6.
				if (facts?.protocol !== 17) continue;
				if (facts.sourcePort === 4000 && facts.destinationPort === 53) this.received.asked++;
				else if (facts.sourcePort === 53 && facts.destinationPort === 4000) this.received.answered++;
				else this.received.denied++;
			}
	}

	#send(from: Pod, to: Pod, sourcePort: number, destinationPort: number): void {
		const port = this.#network.podPort(from);
		if (port === undefined) throw new Error(`no pod ${from}`);
		const packet = ipPacket({
			...{ source: parseAddress(from), destination: parseAddress(to), protocol: 17 },
			...{ sourcePort, destinationPort },
		});
		port.wire.send(ethernetFrame(port.from, port.to, packet));
	}
}

/** Packets that were sent have not all arrived. */
const isUnderway = ({ sent, received }: Traffic): boolean =>
	received.asked < sent.asked || received.answered < sent.answered;

function openBackends(
	pins: string,
	clock: Clock = systemClock,
	retry = () => {},
	more: Partial<PolicyBackendsDependencies> = {},
): PolicyBackends {
	return new PolicyBackends({
		nftables: new NftablesPolicy({}, { load: loadRuleset }),
		openEbpf: async () => openEbpf(pins, new Conntrack()),
		adoptEbpf: async () => adoptEbpf(pins, new Conntrack()),
		removeEbpf: () => removeEbpf(pins),
		cutter: undefined,
		retry,
		clock,
		log: silentLogger,
		...more,
	});
}

/** Packets between pods pass the kernel by; connections follow the policy. */
function openRedirecting(pins: string) {
	const conntrack = new Conntrack();
	const cutter = new ConnectionCutter({
		...{ conntrack, ownAddresses: () => new Set() },
		beside: async (policy, own) =>
			(await backends.ebpf?.kernel.connections.cut(policy, own)) ?? { cut: 0, restored: 0 },
	});
	const backends: PolicyBackends = openBackends(pins, systemClock, undefined, {
		...{ cutter, redirectsPods: true },
		track: (flows) => conntrack.add(flows),
	});
	return { backends, conntrack, cutter };
}

kernelTest('connections between pods past the kernel are known to nftables before it judges again', async (t) => {
	t.timeout(300_000);
	const traffic = openNode(t, 'r');
	const pins = pinDirectory(t);
	const { backends, conntrack } = openRedirecting(pins);
	await backends.sync(state);
	for (let round = 0; round < 20; round++) traffic.exchange();
	backends.want('ebpf');
	await traffic.during(backends.sync(state));
	t.is(backends.name, 'ebpf');
	await conntrack.flush('ipv4');
	for (let round = 0; round < 20; round++) traffic.exchange();
	const isOurs = ({ original }: Flow) => original.sourcePort === 4000;
	t.deepEqual(await conntrack.list('ipv4', isOurs), [], 'the kernel does not see them');

	// The next packet is an answer, which the policy denies as the first of a connection.
	backends.want('nftables');
	await backends.sync(state);
	t.is(backends.name, 'nftables');
	for (let round = 0; round < 20; round++) traffic.exchange();
	t.is((await conntrack.list('ipv4', isOurs)).length, 1);
	for (let tries = 0; tries < 50 && isUnderway(traffic); tries++) {
		await new Promise((resolve) => setTimeout(resolve, 10));
		traffic.count();
	}
	t.deepEqual(traffic.received, { ...traffic.sent, denied: 0 });
	backends.close();
	conntrack.close();
});

for (const after of ['nftables', 'ebpf'] as const)
	kernelTest(
		`connections between pods past the kernel outlive a restart with ${after} and without redirects`,
		async (t) => {
			t.timeout(300_000);
			const traffic = openNode(t, after === 'ebpf' ? 'p' : 'q');
			const pins = pinDirectory(t);
			const first = openRedirecting(pins);
			first.backends.want('ebpf');
			await first.backends.sync(state);
			for (let round = 0; round < 20; round++) traffic.exchange();
			const isOurs = ({ original }: Flow) => original.sourcePort === 4000;
			t.deepEqual(await first.conntrack.list('ipv4', isOurs), [], 'the kernel does not see them');
			first.backends.close();

			for (let round = 0; round < 20; round++) traffic.exchange();
			const conntrack = new Conntrack();
			const second = openBackends(pins, systemClock, undefined, { track: (flows) => conntrack.add(flows) });
			second.want(after);
			// The next packet is an answer, which the policy denies as the first of a connection.
			await second.sync(state);
			t.is(second.name, after);
			await traffic.during(second.sync(state));
			for (let round = 0; round < 20; round++) traffic.exchange();
			t.is((await conntrack.list('ipv4', isOurs)).length, 1, 'the kernel tracks the connection');
			if (after === 'ebpf') {
				second.want('nftables');
				await traffic.during(second.sync(state));
			}
			t.false(existsSync(pins), 'all pins are removed');
			for (let tries = 0; tries < 50 && isUnderway(traffic); tries++) {
				await new Promise((resolve) => setTimeout(resolve, 10));
				traffic.count();
			}
			t.deepEqual(traffic.received, { ...traffic.sent, denied: 0 });
			second.close();
			first.conntrack.close();
			conntrack.close();
		},
	);

/** What others may have on the way between pods, and how it goes. */
const onTheWay: readonly {
	readonly add: readonly string[];
	readonly remove: readonly string[];
	readonly reason: RegExp;
}[] = [
	{
		add: [
			'nft add table ip other',
			'nft add chain ip other ways { type filter hook forward priority 0; }',
			'nft add rule ip other ways counter',
		],
		remove: ['nft delete table ip other'],
		reason: /rules in chain ways of table ip other/,
	},
	{
		add: [
			'nft add table inet other',
			'nft add chain inet other entire { type filter hook forward priority 0; policy drop; }',
		],
		remove: ['nft delete table inet other'],
		reason: /chain entire of table inet other drops by default/,
	},
	{
		add: ['tc qdisc add dev calib root tbf rate 100mbit burst 100k latency 50ms'],
		remove: ['tc qdisc del dev calib root'],
		reason: /queueing discipline tbf at calib/,
	},
];

/** Braces and what is between them is one word. */
const runLine = (line: string) => {
	const [, start = line, block] = /^(.*?)( \{.*\})?$/.exec(line) ?? [];
	const [command = '', ...words] = start.split(' ');
	run(command, ...words, ...(block === undefined ? [] : [block]));
};

kernelTest('packets between pods pass the kernel by only while others have nothing on that way', async (t) => {
	t.timeout(300_000);
	openNode(t, 'o');
	const backends = openBackends(pinDirectory(t), systemClock, undefined, {
		...{ redirectsPods: 'auto', foreignRules: findForeignRules },
	});
	t.teardown(() => backends.close());
	backends.want('ebpf');
	await backends.sync(state);
	const follow = async () => {
		t.false(await backends.isIntact(state), 'the change is noticed');
		await backends.sync(state);
		t.true(await backends.isIntact(state));
		return { isOn: (backends.ebpf?.kernel.redirected.size ?? 0) > 0, reason: backends.noRedirect(state) };
	};
	t.deepEqual([(backends.ebpf?.kernel.redirected.size ?? 0) > 0, backends.noRedirect(state)], [true, undefined]);
	for (const { add, remove, reason } of onTheWay) {
		add.forEach(runLine);
		const { isOn, reason: given = '' } = await follow();
		t.false(isOn);
		t.regex(given, reason);
		remove.forEach(runLine);
		t.deepEqual(await follow(), { isOn: true, reason: undefined });
	}
	const purpose = { pinPrefix: 'other_', classifier: 'other', priority: { ingress: 20, egress: 20 } };
	const netlink = new Rtnetlink();
	const { index: interfaceIndex = 0 } = (await netlink.links()).find(({ name }) => name === 'calia') ?? {};
	netlink.close();
	const program = loadProbe();
	const attachers =
		backends.ebpf?.attachment === 'tcx'
			? [new ClsactAttacher({ purpose }), new TcxAttacher({ purpose })]
			: [new ClsactAttacher({ purpose })];
	for (const attacher of attachers) {
		const point = { interfaceIndex, interfaceName: 'calia', hook: 'egress' } as const;
		await attacher.set(point, program);
		const { isOn, reason = '' } = await follow();
		t.false(isOn);
		t.regex(reason, /(classifier|program) of others at calia, egress/);
		await attacher.remove(point);
		t.deepEqual(await follow(), { isOn: true, reason: undefined });
		attacher.close();
	}
	program.close();
	for (const harmless of [
		'nft add table ip kube-proxy',
		'nft add chain ip kube-proxy filter-forward { type filter hook forward priority -110; }',
		'nft add rule ip kube-proxy filter-forward counter',
		'nft add table ip filter',
		'nft add chain ip filter KUBE-FORWARD',
		'nft add chain ip filter FORWARD { type filter hook forward priority 0; }',
		'nft add rule ip filter FORWARD counter jump KUBE-FORWARD',
		'nft add chain ip filter INPUT { type filter hook input priority 0; }',
		'nft add rule ip filter INPUT counter',
	])
		runLine(harmless);
	t.true(await backends.isIntact(state));
	t.is(backends.noRedirect(state), undefined);
});

kernelTest('a pod that comes is looked at alone, and rules of others are not listed for it', async (t) => {
	t.timeout(300_000);
	openNode(t, 'l');
	const pins = pinDirectory(t);
	const looks: string[][] = [];
	let listed = 0;
	const backends = openBackends(pins, systemClock, undefined, {
		redirectsPods: 'auto',
		foreignRules: async () => {
			listed++;
			return undefined;
		},
		async openEbpf() {
			const opened = openEbpf(pins, new Conntrack());
			const others = (names: ReadonlySet<string>) => {
				looks.push([...names]);
				return opened.others?.(names) ?? Promise.resolve(undefined);
			};
			return { ...opened, others };
		},
	});
	t.teardown(() => backends.close());
	backends.want('ebpf');
	const [first, second] = [...state.workloads.values()];
	if (first === undefined || second === undefined) throw new Error('two pods');
	const alone = { ...state, workloads: new Map([[first.key, first]]) };
	const comes = { ...noChange, workloads: [second] };
	const goes = { ...noChange, removedWorkloads: [second.key] };
	await backends.sync(alone);
	t.deepEqual({ listed, looks }, { listed: 1, looks: [['calia']] });
	for (const limited of [false, true]) {
		const before = { listed, looks: looks.length };
		if (limited) runLine('tc qdisc add dev calib root tbf rate 100mbit burst 100k latency 50ms');
		await backends.apply(comes, state);
		t.deepEqual({ listed, looks: looks.slice(before.looks) }, { listed: before.listed, looks: [['calib']] });
		t.is(backends.ebpf?.kernel.redirected.size, limited ? 0 : 2);
		t.is(/tbf at calib/.test(backends.noRedirect(state) ?? ''), limited);
		await backends.apply(goes, alone);
	}

	// While there is a host endpoint nothing is redirected, and the rules are not read for that.
	runLine('tc qdisc del dev calib root');
	const { hosts, policies } = hostState();
	const withHost = { ...alone, hosts, policies: new Map([...alone.policies, ...policies]) };
	await backends.apply({ ...noChange, hosts: [...hosts.values()], policies: [...policies.values()] }, withHost);
	const before = listed;
	t.true(await backends.isIntact(withHost));
	await backends.sync(withHost);
	t.is(listed, before);
	await backends.apply({ ...noChange, removedHosts: [...hosts.keys()] }, alone);
	t.is(listed, before + 1, 'it is looked at again when the endpoint goes');
	t.is(backends.noRedirect(alone), undefined);
});

kernelTest(
	'a connection past the kernel that the policy denies by now is cut, and comes back with the rule',
	async (t) => {
		const traffic = openNode(t, 'c');
		const pins = pinDirectory(t);
		const { backends, conntrack, cutter } = openRedirecting(pins);
		const silent = nodePolicy(
			[workload('a', a, [closed], [asks]), workload('b', b, [closed], [closed])],
			[asks, closed],
			[],
		);
		const passed = async () => {
			const before = { ...traffic.received };
			for (let round = 0; round < 20; round++) traffic.exchange();
			await new Promise((resolve) => setTimeout(resolve, 300));
			traffic.count();
			return [traffic.received.asked - before.asked, traffic.received.answered - before.answered];
		};
		backends.want('ebpf');
		await backends.sync(state);
		traffic.exchange();
		t.deepEqual(await passed(), [20, 20]);
		await backends.sync(silent);
		await cutter.whenIdle();
		t.deepEqual(await passed(), [0, 0]);
		await backends.sync(state);
		await cutter.whenIdle();
		const [asked = 0] = await passed();
		t.is(asked, 20);
		await backends.sync(nodePolicy([], [], []));
		await removeEbpf(pins);
		backends.close();
		conntrack.close();
	},
);

kernelTest(
	'nftables to eBPF, a restart and back: no packet of a connection is lost, none that is denied passes',
	async (t) => {
		t.timeout(300_000);
		const traffic = openNode(t, 's');
		const pins = pinDirectory(t);
		const first = openBackends(pins);
		await first.sync(state);
		for (let round = 0; round < 20; round++) traffic.exchange();

		first.want('ebpf');
		await traffic.during(first.sync(state));
		t.is(first.name, 'ebpf');
		t.true(await first.isIntact(state));
		t.deepEqual([...(first.ebpf?.kernel.attached ?? [])], ['ns/a', 'ns/b']);
		t.true(readdirSync(join(pins, 'v1')).length >= 5);

		first.close();
		for (let round = 0; round < 20; round++) traffic.exchange();
		const second = openBackends(pins);
		second.want('ebpf');
		await traffic.during(second.sync(state));
		t.is(second.name, 'ebpf');

		second.want('nftables');
		await traffic.during(second.sync(state));
		t.is(second.name, 'nftables');
		for (let round = 0; round < 20; round++) traffic.exchange();
		t.false(existsSync(pins), 'all pins are removed');
		t.deepEqual(await removeEbpf(pins), []);
		second.close();

		// What is on its way arrives within a moment.
		for (let tries = 0; tries < 50 && isUnderway(traffic); tries++) {
			await new Promise((resolve) => setTimeout(resolve, 10));
			traffic.count();
		}
		t.log(`${traffic.sent.asked} packets in each direction`);
		t.deepEqual(traffic.received, { ...traffic.sent, denied: 0 });
	},
);

/** The policies of `state`, and a rule of pod a that is too large for a program. */
const large = policy(
	'asks',
	[],
	[
		dns,
		rule('allow', {
			protocol: 6,
			destination: {
				ports: {
					ranges: Array.from({ length: 30_000 }, (_, index) => ({ first: 2 * index + 1, last: 2 * index + 1 })),
					sets: [],
				},
			},
		}),
	],
);
const tooLarge: NodePolicy = nodePolicy(
	[workload('a', a, [closed], [large]), workload('b', b, [answers], [closed])],
	[large, answers, closed],
	[],
);

kernelTest('a policy that does not fit: nftables enforces it without a lost packet, and eBPF comes back', async (t) => {
	t.timeout(300_000);
	const traffic = openNode(t, 'f');
	const pins = pinDirectory(t);
	const clock = new FakeClock();
	let retries = 0;
	const backends = openBackends(pins, clock, () => retries++);
	backends.want('ebpf');
	await backends.sync(state);
	for (let round = 0; round < 20; round++) traffic.exchange();
	t.is(backends.name, 'ebpf');

	await traffic.during(backends.apply({ ...noChange, policies: [large] }, tooLarge));
	t.is(backends.name, 'nftables');
	t.is(backends.problem?.type, 'does-not-fit');
	t.regex(backends.problem?.reason ?? '', /network-policy\/asks egress rule 1 \(rule\)/);
	t.false(existsSync(pins), 'no program of the earlier policy is left');
	for (let round = 0; round < 20; round++) traffic.exchange();
	await backends.sync(tooLarge);
	t.is(backends.name, 'nftables', 'the next try has its time');

	clock.advance(30_000);
	t.is(retries, 1);
	await traffic.during(backends.sync(tooLarge));
	t.is(backends.name, 'nftables', 'the try does not reach the pods');
	t.is(backends.problem?.type, 'does-not-fit');

	await backends.apply({ ...noChange, policies: [asks] }, state);
	clock.advance(5_000);
	t.is(retries, 2, 'a change leads to a try soon');
	await traffic.during(backends.sync(state));
	t.is(backends.name, 'ebpf');
	t.is(backends.problem, undefined);
	for (let round = 0; round < 20; round++) traffic.exchange();
	for (let tries = 0; tries < 50 && isUnderway(traffic); tries++) {
		await new Promise((resolve) => setTimeout(resolve, 10));
		traffic.count();
	}
	t.deepEqual(traffic.received, { ...traffic.sent, denied: 0 });
	await backends.sync(nodePolicy([], [], []));
	await removeEbpf(pins);
	backends.close();
});

kernelTest('programs, links and pins that an earlier process left are listed and removed', async (t) => {
	const traffic = openNode(t, 'c');
	const pins = pinDirectory(t);
	const backends = openBackends(pins);
	backends.want('ebpf');
	await backends.sync(state);
	traffic.exchange();
	backends.close();
	const found = await removeEbpf(pins, { dryRun: true });
	t.deepEqual(
		found.map((line) => line.replace(/_\d+_/, '_N_').replace(pins, 'PINS')).sort(),
		[
			...Object.keys(policyMapDefinitions()).map((name) => `map PINS/v1/${name}`),
			...['calia', 'calib'].flatMap((name) =>
				['egress', 'ingress'].map((hook) => `link PINS/v1/link_${name}_N_${hook}`),
			),
		].sort(),
	);
	t.is((await removeEbpf(pins, { dryRun: true })).length, found.length, 'a dry run changes nothing');
	// Links pinned by an earlier process are removed by a start with nftables.
	const next = openBackends(pins);
	await next.sync(state);
	t.false(existsSync(pins));
	next.close();
});

kernelTest('where eBPF is not possible nftables enforces, and the reason is named', async (t) => {
	const traffic = openNode(t, 'n');
	const kernel = new PolicyBackends({
		nftables: new NftablesPolicy({}, { load: loadRuleset }),
		openEbpf: async () => {
			throw new EbpfUnavailableError(['kernel 5.4.0 is older than 5.10', 'the capability CAP_BPF is missing']);
		},
		adoptEbpf: async () => undefined,
		removeEbpf: async () => [],
		cutter: undefined,
		retry: () => {},
		clock: systemClock,
		log: silentLogger,
	});
	t.true(kernel.want('ebpf'));
	t.false(kernel.want('ebpf'));
	await kernel.sync(state);
	t.is(kernel.name, 'nftables');
	t.deepEqual(kernel.problem, {
		type: 'unavailable',
		reason: 'kernel 5.4.0 is older than 5.10; the capability CAP_BPF is missing',
	});
	for (let round = 0; round < 5; round++) traffic.exchange();
	t.deepEqual(traffic.received, { asked: 5, answered: 4, denied: 0 });
	kernel.close();
	t.throws(() => openEbpf('/tmp/not-bpffs', new Conntrack()), {
		instanceOf: EbpfUnavailableError,
		message: /is not in a BPF file system; mount one/,
	});
});

kernelTest('a pod whose interface appears later is closed until its programs are attached', async (t) => {
	const traffic = openNode(t, 'l');
	const pins = pinDirectory(t);
	const backends = openBackends(pins);
	backends.want('ebpf');
	run('ip', 'link', 'set', 'calib', 'down');
	run('ip', 'link', 'set', 'calib', 'name', 'calix');
	await backends.sync(state);
	t.deepEqual([...(backends.ebpf?.kernel.attached ?? [])], ['ns/a']);
	t.true(await backends.isIntact(state));
	run('ip', 'link', 'set', 'calix', 'name', 'calib');
	run('ip', 'link', 'set', 'calib', 'up');
	run('ip', 'route', 'replace', b, 'dev', 'calib');
	t.true(await backends.isIntact(state), 'its plugin may be about to ask for programs');
	t.false(await backends.isIntact(state), 'the interface still has no programs');
	for (let round = 0; round < 5; round++) traffic.exchange();
	t.is(traffic.received.asked, 0);
	await backends.sync(state);
	t.true(await backends.isIntact(state));
	run('ip', 'link', 'set', 'calib', 'down');
	run('ip', 'link', 'set', 'calib', 'name', 'calix');
	for (let look = 0; look < 2; look++) t.true(await backends.isIntact(state), 'no interface, no programs');
	const network = traffic.received.asked;
	t.is(network, 0);
	await backends.sync(nodePolicy([], [], []));
	await removeEbpf(pins);
	backends.close();
});

kernelTest('flows and drops of programs name pods, verdict and rule, and policies are counted', async (t) => {
	const traffic = openNode(t, 'e');
	const pins = pinDirectory(t);
	const backends = openBackends(pins);
	const events = new ProgramEvents({
		ebpf: () => backends.ebpf,
		nameOf: (address) => (address === a ? 'ns/a' : address === b ? 'ns/b' : address),
		clock: systemClock,
		log: silentLogger,
	});
	const [flows, drops]: [PolicyDropEvent[], PolicyDropEvent[]] = [[], []];
	// Watched before the programs are there: the source follows the data plane.
	const sources = [events.source('flows')((event) => flows.push(event))];
	sources.push(events.source('drops')((event) => drops.push(event)));
	backends.want('ebpf');
	await backends.sync(state);
	await eventually('the maps are watched', () => {
		const value = backends.ebpf?.maps.get('switches')?.get(new Uint8Array(4));
		return value?.[0] === 1;
	});
	for (let round = 0; round < 3; round++) traffic.exchange();
	await eventually('events arrive', () => flows.length >= 8 && drops.length >= 6);
	const line = ({ action, direction, from, to, protocol, port, decidedBy }: PolicyDropEvent) =>
		`${action} ${direction} ${from} to ${to} ${protocol} ${port}: ${decidedBy}`;
	t.deepEqual([...new Set(flows.map(line))].sort(), [
		'allow egress ns/a to ns/b UDP 53: NetworkPolicy (Calico) asks rule',
		'allow ingress ns/a to ns/b UDP 53: NetworkPolicy (Calico) answers rule',
		'deny egress ns/a to ns/b UDP 54: end of tier default',
		'deny egress ns/b to ns/a UDP 53: end of tier default',
	]);
	t.deepEqual(new Set(drops.map(({ action }) => action)), new Set(['deny']));
	t.deepEqual(
		(await backends.counters())
			.filter(({ policy: key }) => key !== undefined)
			.map(({ policy: key, action, packets }) => `${key} ${action} ${packets}`)
			.sort(),
		['network-policy/answers allow 1', 'network-policy/asks allow 1'],
	);
	for (const source of sources) source.close();
	await removeEbpf(pins);
	backends.close();
});

/** UDP between a client outside and the node itself, counted. */
class HostTraffic {
	readonly #network: NodeNetwork;
	#denied = 10_000;
	readonly sent = { asked: 0, answered: 0, streamed: 0 };
	readonly received = { asked: 0, answered: 0, streamed: 0, denied: 0 };

	constructor(network: NodeNetwork) {
		this.#network = network;
	}

	/** Of a second connection, the client sends the first packet alone. */
	begin(): void {
		this.#toNode(6000, 53);
	}

	/** A packet of each connection in each direction, and two that no rule allows. */
	exchange(): void {
		this.#denied = this.#denied >= 60_000 ? 10_000 : this.#denied + 1;
		this.#toNode(5000, 53);
		this.sent.asked++;
		this.#toNode(this.#denied, 54);
		if (this.received.asked > 0) {
			this.#fromNode(53, 5000);
			this.sent.answered++;
			this.#fromNode(53, 6000);
			this.sent.streamed++;
		}
		this.#fromNode(this.#denied, 9999);
		this.count();
	}

	async during<T>(work: Promise<T>): Promise<T> {
		let done = false;
		const finished = work.finally(() => {
			done = true;
		});
		while (!done) {
			this.exchange();
			await new Promise((resolve) => setImmediate(resolve));
		}
		return finished;
	}

	count(): void {
		const { uplink, receivers } = this.#network;
		for (let frame = uplink.wire.receive(); frame !== undefined; frame = uplink.wire.receive())
			this.#arrived(readPacket(frame.subarray(14)));
		for (const receiver of receivers)
			if (receiver.family === 'ipv4' && receiver.protocol === 17)
				for (let bytes = receiver.receive(); bytes !== undefined; bytes = receiver.receive())
					this.#arrived(readPacket(bytes));
	}

	#arrived(facts: ReturnType<typeof readPacket>): void {
		if (facts?.protocol !== 17) return;
		if (facts.sourcePort === 5000 && facts.destinationPort === 53) this.received.asked++;
		else if (facts.sourcePort === 53 && facts.destinationPort === 5000) this.received.answered++;
		else if (facts.sourcePort === 53 && facts.destinationPort === 6000) this.received.streamed++;
		else if (facts.sourcePort !== 6000) this.received.denied++;
	}

	#toNode(sourcePort: number, destinationPort: number): void {
		const { uplink } = this.#network;
		uplink.wire.send(ethernetFrame(uplink.from, uplink.to, udpPacket(client, node, sourcePort, destinationPort)));
	}

	#fromNode(sourcePort: number, destinationPort: number): void {
		const packet = udpPacket(node, client, sourcePort, destinationPort);
		this.#network.senders.ipv4.send(packet, parseAddress(client));
	}
}

const [node, client] = ['10.0.0.1', '192.0.2.9'] as const;
const udpPacket = (source: string, destination: string, sourcePort: number, destinationPort: number) =>
	ipPacket({
		...{ source: parseAddress(source), destination: parseAddress(destination), protocol: 17 },
		...{ sourcePort, destinationPort },
	});

type HostStage = 'pre-dnat' | 'untracked' | 'by-rules';

/** The node serves DNS and asks nothing; `stages`: which policies allow that besides the ordinary one. */
function hostState(...stages: readonly HostStage[]): NodePolicy {
	const serves = policy('serves', [dns], []);
	const before = policy('before', [dns], []);
	const stateless = policy('stateless', [dns], [rule('allow', { protocol: 17, source: port(53) })]);
	const bySource = policy('by-source', [], [rule('allow', { source: { nets: nets('10.0.0.0/8') } })]);
	const both = (...policies: readonly Policy[]) => ({
		ingress: direction('ingress', policies),
		egress: direction('egress', policies),
	});
	const early = (toward: 'ingress' | 'egress', stage: HostStage, one: Policy) => ({
		...direction(toward, stages.includes(stage) ? [one] : [], 'pass'),
		otherwise: 'continue' as const,
	});
	const host: HostEndpoint = {
		...{ type: 'host', key: 'uplink', interfaceName: 'eth0', normal: both(serves) },
		forward: stages.includes('by-rules') ? both(bySource) : both(),
		preDnat: { ingress: early('ingress', 'pre-dnat', before) },
		untracked: {
			ingress: early('ingress', 'untracked', stateless),
			egress: early('egress', 'untracked', stateless),
		},
	};
	return nodePolicy([], [serves, before, stateless, bySource], [], { hosts: new Map([['uplink', host]]) });
}

kernelTest(
	'a host endpoint by rules, by programs with and without early policy, by rules, a restart, and back',
	async (t) => {
		t.timeout(240_000);
		const network = openNetwork(t, 'h');
		network.setAddress(node);
		const traffic = new HostTraffic(network);
		const pins = pinDirectory(t);
		const exchange = () => {
			for (let round = 0; round < 20; round++) traffic.exchange();
		};
		const first = openBackends(pins);
		const plain = hostState();
		await first.sync(plain);
		traffic.begin();
		exchange();

		first.want('ebpf');
		await traffic.during(first.sync(plain));
		t.deepEqual([...(first.ebpf?.kernel.hostInterfaces ?? [])], [['eth0', 'uplink']]);
		t.notRegex(run('nft', 'list', 'table', 'inet', 'bgpmesh_policy').toString(), /hook output/, 'no rule is left');
		t.true(await first.isIntact(plain));
		exchange();

		const table = () => run('nft', 'list', 'table', 'inet', 'bgpmesh_policy').toString();
		for (const [stages, programs, untracked] of [
			[['pre-dnat'], ['host_pre'], false],
			[['untracked'], ['host_raw_in', 'host_raw_out'], true],
			[['pre-dnat', 'untracked', 'by-rules'], undefined, true],
			[['pre-dnat', 'untracked'], ['host_raw_in', 'host_raw_out', 'host_pre'], true],
			[['pre-dnat', 'by-rules'], undefined, false],
			[[], [], false],
		] as const) {
			const next = hostState(...stages);
			const change = { ...noChange, hosts: [...next.hosts.values()], policies: [...next.policies.values()] };
			await traffic.during(first.apply(change, next));
			const name = stages.join();
			t.deepEqual([...(first.ebpf?.kernel.hostInterfaces.keys() ?? [])], programs === undefined ? [] : ['eth0'], name);
			t.deepEqual(first.ebpf?.kernel.earlyPrograms.get('eth0'), programs, name);
			t.is(first.hostsLeft(next).size, programs === undefined ? 1 : 0, name);
			t.is(/notrack/.test(table()), untracked, name);
			t.is(/meta mark & 0x00000800 == 0x00000800 notrack/.test(table()), untracked && programs !== undefined, name);
			t.true(await first.isIntact(next), name);
			exchange();
		}

		first.close();
		exchange();
		const second = openBackends(pins);
		second.want('ebpf');
		await traffic.during(second.sync(plain));
		exchange();
		const [, manyPorts] = large.egress;
		const serves = policy('serves', [dns, ...(manyPorts === undefined ? [] : [manyPorts])], []);
		const full = { ...plain, policies: new Map([...plain.policies, [serves.key, serves]]) };
		await traffic.during(second.apply({ ...noChange, policies: [serves] }, full));
		t.is(second.name, 'nftables', 'a policy of a host endpoint does not fit');
		t.regex(second.problem?.reason ?? '', /network-policy\/serves ingress rule 1/);
		exchange();
		second.want('nftables');
		await traffic.during(second.sync(plain));
		t.is(second.name, 'nftables');
		exchange();
		t.deepEqual(await removeEbpf(pins), [], 'no program is left');
		second.close();
		const underway = () =>
			traffic.received.asked < traffic.sent.asked || traffic.received.streamed < traffic.sent.streamed;
		for (let tries = 0; tries < 50 && underway(); tries++) {
			await new Promise((resolve) => setTimeout(resolve, 10));
			traffic.count();
		}
		t.log(`${traffic.sent.asked} packets in each direction`);
		t.true(traffic.sent.answered > 100);
		t.deepEqual(traffic.received, { ...traffic.sent, denied: 0 });
	},
);
