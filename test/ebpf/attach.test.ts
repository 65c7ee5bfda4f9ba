import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { addQuietNamespace, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside, Wire } from '../../lab/frames/sockets.ts';
import {
	Assembler,
	type Attacher,
	BpfMap,
	ClsactAttacher,
	EbpfPolicy,
	fp,
	hostPurpose,
	imm,
	LoadedProgram,
	natPurpose,
	openAttacher,
	Pins,
	ProgramTooLargeError,
	r0,
	r1,
	TcxAttacher,
	UnsupportedPolicyError,
} from '../../src/ebpf/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import type { HostEndpoint } from '../../src/policy/index.ts';
import { direction, noChange, nodePolicy, policy, rule, workload } from '../nftables/fixtures.ts';
import { mountBpffs } from '../support/bpffs.ts';
import { noNamespaces } from '../support/namespace.ts';
import { closeMaps, openMaps } from './bench.ts';
import { ethernetFrame } from './frames.ts';
import { noBpf } from './support.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: eBPF at interfaces: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const prefix = `bme${process.pid}`;
const run = (command: string, ...words: string[]) => execFileSync(command, words, { env: systemEnvironment() });
const receiverIndex = 501;
const receiverName = 'calia';

/** A veth pair between two namespaces: frames go in at one end, programs stand at the other. */
function wire(t: ExecutionContext, letter: string): { namespace: string; send: (count: number) => void } {
	const [here, there] = [`${prefix}${letter}1`, `${prefix}${letter}2`];
	for (const namespace of [here, there]) {
		addQuietNamespace(namespace);
		t.teardown(() => removeNamespace(namespace));
	}
	const pair = `link add ${receiverName} index ${receiverIndex} netns ${there} type veth peer name w index 500 netns ${here}`;
	run('ip', ...pair.split(' '));
	run('ip', '-n', here, 'link', 'set', 'w', 'up');
	run('ip', '-n', there, 'link', 'set', receiverName, 'up');
	const socket = new Wire(here, 500);
	t.teardown(() => socket.close());
	const frame = ethernetFrame({ source: '10.1.0.2', destination: '10.2.0.9', protocol: 17, destinationPort: 9 });
	const payload = frame.subarray(14);
	return {
		namespace: there,
		send: (count) => {
			for (let index = 0; index < count; index++) socket.send(ethernet(payload));
		},
	};
}

/** To all stations, so that the MAC address of the far end does not matter. */
function ethernet(payload: Uint8Array): Uint8Array {
	return Buffer.concat([new Uint8Array(6).fill(255), Uint8Array.of(2, 0, 0, 0, 0, 1, 8, 0), payload]);
}

/** Two programs that count IPv4 packets of UDP port 9 in different places. */
function counters(t: ExecutionContext) {
	const map = BpfMap.create({ name: 'counts', type: 'array', keyBytes: 4, valueBytes: 8, entries: 2 });
	t.teardown(() => map.close());
	const program = (index: number) => {
		const a = new Assembler().load('w', r1, r1, 16).mov(r0, imm(-1)).jumpIf(r1, '!=', imm(8), 'end');
		a.store('w', fp, -8, imm(index)).lookup('counts', -8);
		a.when(r0, '!=', imm(0), () => a.mov(r1, imm(1)).atomicAdd(r0, 0, r1));
		a.mov(r0, imm(-1)).label('end').exit();
		const loaded = LoadedProgram.load(a.assemble(), {
			name: `count${index}`,
			type: 'schedClassifier',
			maps: new Map([['counts', map]]),
		});
		t.teardown(() => loaded.close());
		return loaded;
	};
	const read = (index: number) =>
		new DataView(map.get(Uint8Array.of(index, 0, 0, 0))?.buffer ?? new ArrayBuffer(8)).getUint32(0, true);
	return { first: program(0), second: program(1), read };
}

const kinds: readonly [string, (namespace: string) => Attacher][] = [
	['TCX', (namespace) => new TcxAttacher({ inside: (act) => inside(namespace, act) })],
	['clsact', (namespace) => inside(namespace, () => new ClsactAttacher())],
];
const point = { interfaceIndex: receiverIndex, interfaceName: receiverName, hook: 'ingress' } as const;

for (const [index, [kind, open]] of kinds.entries())
	kernelTest(`${kind}: a program is replaced under traffic, and each packet meets one of both`, async (t) => {
		const { namespace, send } = wire(t, `r${index}`);
		const attacher = open(namespace);
		t.teardown(() => attacher.close());
		const { first, second, read } = counters(t);
		if (kind === 'TCX' && openAttacher({}, first).kind !== 'tcx') return t.log('SKIPPED: this kernel has no TCX (6.6)');
		await attacher.set(point, first);
		for (let round = 0; round < 100; round++) {
			send(50);
			await attacher.set(point, round % 2 === 0 ? second : first);
		}
		t.is(read(0) + read(1), 5000);
		t.is(read(0), 2500);
		await attacher.remove(point);
		await attacher.remove(point);
		send(50);
		t.is(read(0) + read(1), 5000);
		return undefined;
	});

for (const [index, [kind, purposes]] of (
	[
		['TCX, host endpoints first', [hostPurpose, natPurpose]],
		['TCX, services first', [natPurpose, hostPurpose]],
		['clsact, host endpoints first', [hostPurpose, natPurpose]],
	] as const
).entries())
	kernelTest(`${kind}: the programs of host endpoints see packets behind those of services`, async (t) => {
		const { namespace, send } = wire(t, `o${index}`);
		const { first, read } = counters(t);
		if (kind.startsWith('TCX') && openAttacher({}, first).kind !== 'tcx')
			return t.log('SKIPPED: this kernel has no TCX (6.6)');
		const ends = new Assembler().mov(r0, imm(2)).exit();
		const drop = LoadedProgram.load(ends.assemble(), { name: 'drop', type: 'schedClassifier', maps: new Map() });
		t.teardown(() => drop.close());
		for (const purpose of purposes) {
			const options = { purpose, inside: <T>(act: () => T) => inside(namespace, act) };
			const attacher = kind.startsWith('TCX')
				? new TcxAttacher(options)
				: inside(namespace, () => new ClsactAttacher({ purpose }));
			t.teardown(() => attacher.close());
			await attacher.set(point, purpose === natPurpose ? first : drop);
		}
		send(10);
		t.is(read(0), 10, 'that of services saw them');
		return undefined;
	});

/** Number of connections that programs kept. */
const connectionsOf = (maps: ReturnType<typeof openMaps>) => [...(maps.get('connections')?.keys() ?? [])].length;

const allowed = policy('p', [], [rule('allow', { protocol: 17 })]);
const denied = policy('p', [], [rule('deny')]);
const stateWith = (egress: typeof allowed) => nodePolicy([workload('a', '10.1.0.2', [], [egress])], [egress], []);

function openPolicy(t: ExecutionContext, namespace: string, attacher: Attacher, name = receiverName) {
	const maps = openMaps();
	const kernel = new EbpfPolicy({ maps, attacher, interfaces: async () => new Map([[name, receiverIndex]]) });
	t.teardown(() => {
		kernel.close();
		closeMaps(maps);
	});
	return { maps, kernel, namespace };
}

kernelTest('a policy that does not fit is refused, and the programs before it stay', async (t) => {
	const { namespace, send } = wire(t, 'f');
	const { maps, kernel } = openPolicy(
		t,
		namespace,
		inside(namespace, () => new ClsactAttacher()),
	);
	/** Packets that the programs in force denied. */
	const deniedPackets = () =>
		kernel.counters().reduce((sum, { action, packets }) => sum + (action === 'deny' ? packets : 0), 0);
	await kernel.sync(stateWith(denied));
	send(5);
	t.is(connectionsOf(maps), 0);
	t.is(deniedPackets(), 5);
	const huge = policy(
		'p',
		[],
		Array.from({ length: 20_000 }, () => rule('allow', { protocol: 17, notProtocol: 6 })),
	);
	await t.throwsAsync(kernel.apply({ ...noChange, policies: [huge] }, stateWith(huge)), {
		instanceOf: ProgramTooLargeError,
	});
	send(5);
	t.is(connectionsOf(maps), 0);
	t.is(deniedPackets(), 10, 'they saw these packets');
	await kernel.apply({ ...noChange, policies: [allowed] }, stateWith(allowed));
	send(5);
	t.is(connectionsOf(maps), 1);
	await kernel.cleanup();
});

kernelTest('an interface and an address that pass to another endpoint in one change stay judged', async (t) => {
	const { namespace, send } = wire(t, 'h');
	const attacher = inside(namespace, () => new ClsactAttacher());
	const { kernel, maps } = openPolicy(t, namespace, attacher);
	await kernel.sync(stateWith(denied));
	const heir = { ...workload('z', '10.1.0.2', [], [allowed]), interfaceName: receiverName };
	const after = nodePolicy([heir], [allowed], []);
	const change = { ...noChange, policies: [allowed], workloads: [heir], removedWorkloads: ['ns/a'] };
	await kernel.apply(change, after);
	send(5);
	t.is(connectionsOf(maps), 1, 'its programs, rules and source address are there');
	await kernel.cleanup();
});

kernelTest('host endpoints are refused where their interfaces are not given', async (t) => {
	const { namespace } = wire(t, 'u');
	const { kernel } = openPolicy(
		t,
		namespace,
		inside(namespace, () => new ClsactAttacher()),
	);
	const state = stateWith(allowed);
	const both = { ingress: direction('ingress', []), egress: direction('egress', []) };
	const host: HostEndpoint = {
		type: 'host',
		key: 'uplink',
		interfaceName: 'eth0',
		normal: both,
		forward: both,
		preDnat: both,
		untracked: both,
	};
	await t.throwsAsync(kernel.sync({ ...state, hosts: new Map([['uplink', host]]) }), {
		instanceOf: UnsupportedPolicyError,
		message: /host endpoints here: uplink/,
	});
});

kernelTest('an interface that does not exist yet is named, and attached by the next sync', async (t) => {
	const { namespace, send } = wire(t, 'l');
	const maps = openMaps();
	const names = new Map<string, number>();
	const attacher = inside(namespace, () => new ClsactAttacher());
	const kernel = new EbpfPolicy({ maps, attacher, interfaces: async () => names });
	t.teardown(() => {
		kernel.close();
		closeMaps(maps);
	});
	await kernel.sync(stateWith(allowed));
	t.deepEqual([...kernel.unattached], ['ns/a']);
	names.set(receiverName, receiverIndex);
	await kernel.sync(stateWith(allowed));
	t.deepEqual([...kernel.unattached], []);
	send(1);
	t.is(connectionsOf(maps), 1);
});

kernelTest(
	'pinned links outlive their process and are taken over; those of pods that are gone are removed',
	async (t) => {
		const { namespace, send } = wire(t, 'p');
		const { first, second, read } = counters(t);
		if (openAttacher({}, first).kind !== 'tcx') return t.log('SKIPPED: this kernel has no TCX (6.6)');
		const mount = mountBpffs(t);
		const pins = new Pins(join(mount, 'bgpmesh'), 1);
		const open = () => new TcxAttacher({ pins, inside: (act) => inside(namespace, act) });
		const before = open();
		await before.set(point, first);
		// As at the end of a process: descriptors are closed, pins stay.
		before.close();
		send(10);
		t.deepEqual([read(0), read(1)], [10, 0]);
		const after = open();
		t.teardown(() => after.close());
		await after.set(point, second);
		send(10);
		t.deepEqual([read(0), read(1)], [10, 10]);
		after.close();
		// The pod is gone meanwhile: there is no policy for it.
		const { kernel } = openPolicy(t, namespace, open());
		await kernel.sync(nodePolicy([], [], []));
		t.deepEqual(pins.names(), []);
		// The kernel detaches a link some moments after its last reference is gone.
		const probe = () => {
			const counted = read(1);
			send(1);
			return read(1) - counted;
		};
		for (let tries = 0; tries < 100 && probe() > 0; tries++) await new Promise((resolve) => setTimeout(resolve, 20));
		const detached = [read(0), read(1)];
		send(10);
		t.deepEqual([read(0), read(1)], detached);
		return undefined;
	},
);
