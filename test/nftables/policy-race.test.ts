import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { loadRuleset, systemEnvironment } from '../../src/linux/index.ts';
import { NftablesPolicy, policyTable } from '../../src/nftables/index.ts';
import { enterRouting, ip, ipAt, noNamespaces } from '../support/namespace.ts';
import { noChange, nodePolicy, policy, rule, set, workload } from './fixtures.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: policy that changes under packets: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

/** A longer run finds rarer events. */
const changesOfRun = Number(process.env['BGPMESH_RACE_CHANGES'] ?? 100);

const nft = (script: string): string =>
	execFileSync('nft', ['-f', '-'], { input: script, encoding: 'utf8', env: systemEnvironment() });

const listTable = (): string =>
	execFileSync('nft', ['list', 'table', 'inet', policyTable], { encoding: 'utf8', env: systemEnvironment() });

/**
 * A packet that is judged while a transaction commits sees the rules of before and the elements of
 * after. Rules that match nothing make the time of a judgement long enough that many packets meet a
 * commit.
 */
function makeSlowChain(): void {
	const rules = Array.from({ length: 2000 }, () => '\t\tmeta mark 0xdead accept').join('\n');
	nft(`table inet ${policyTable} {\n\tchain slow {\n${rules}\n\t}\n}\n`);
}

function slowDown(): void {
	makeSlowChain();
	const chain = /chain (\S*from-input\S*) \{/.exec(listTable())?.[1];
	nft(`insert rule inet ${policyTable} ${chain} jump slow`);
}

/** Makes the time before a rule that allows long. */
function slowDownAllow(): void {
	makeSlowChain();
	const listing = execFileSync('nft', ['-a', 'list', 'table', 'inet', policyTable], {
		encoding: 'utf8',
		env: systemEnvironment(),
	});
	const [, chain, handle] = /chain ([tp]-\S+) \{(?:(?!\n\t\}).)*-e-allow" accept # handle (\d+)/s.exec(listing) ?? [];
	nft(`insert rule inet ${policyTable} ${chain} handle ${handle} jump slow\n`.repeat(4));
}

/** Waits until a process has a network namespace of its own. */
async function untilOwnNamespace(pid: number): Promise<void> {
	const of = (id: number | 'self') => readlinkSync(`/proc/${id}/ns/net`);
	// The main thread of this process is in a namespace of its own, too.
	const here = readlinkSync('/proc/thread-self/ns/net');
	for (let turn = 0; turn < 500 && [here, of('self')].includes(of(pid)); turn++) await pause(10);
}

/** Sends UDP packets without pause until it is ended; none is answered. */
const sender = `
const socket = require('node:dgram').createSocket('udp4');
const more = () => socket.send('x', 7777, '10.0.0.1', () => setImmediate(more));
for (let index = 0; index < 8; index++) more();
`;

/** A pod that sends UDP packets to `10.0.0.1:7777` once it is started, and a socket that counts them. */
async function podAndReceiver(t: ExecutionContext) {
	enterRouting();
	const pod = spawn('unshare', ['-n', process.execPath, '-e', 'process.stdin.resume()'], {
		stdio: ['pipe', 'ignore', 'inherit'],
	});
	t.teardown(() => pod.kill());
	await untilOwnNamespace(pod.pid as number);
	ip(`link add calia type veth peer name eth0 netns ${pod.pid}`);
	ip('addr add 10.0.0.1/32 dev calia');
	ip('link set calia up');
	ip('route add 10.2.0.1/32 dev calia');
	for (const words of ['addr add 10.2.0.1/32 dev eth0', 'link set eth0 up', 'route add default dev eth0'])
		ipAt(pod.pid as number, words);
	const socket = createSocket('udp4');
	let received = 0;
	socket.on('message', () => received++);
	await new Promise<void>((resolve) => socket.bind(7777, '10.0.0.1', resolve));
	t.teardown(() => socket.close());
	return {
		received: () => received,
		start: () => spawn('nsenter', ['-t', String(pod.pid), '-n', process.execPath, '-e', sender], { stdio: 'inherit' }),
	};
}

const deniedPackets = () =>
	[...listTable().matchAll(/-e-deny \{\s+packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);

namespaceTest('no packet passes a policy that denies it before and after a change', async (t) => {
	t.timeout(300_000);
	const { received, start } = await podAndReceiver(t);
	// What the pod sends is denied always; the port of an other rule changes.
	const stateOf = (port: number) => {
		const ports = { ranges: [{ first: port, last: port }], sets: [] };
		const web = policy('web', [], [rule('allow', { protocol: 6, destination: { ports } })]);
		const pods = [workload('a', '10.2.0.1', [], [web])];
		return { web, state: nodePolicy(pods, [web], []) };
	};
	const kernel = new NftablesPolicy({}, { load: loadRuleset });
	t.teardown(() => kernel.close());
	await kernel.sync(stateOf(1).state);
	slowDown();
	const load = start();
	for (let turn = 0; deniedPackets() === 0 && turn < 100; turn++) await pause(100);
	for (let change = 1; change <= changesOfRun; change++) {
		const { web, state } = stateOf(change + 1);
		await kernel.apply({ ...noChange, policies: [web] }, state);
		await pause(1);
	}
	load.kill();
	await once(load, 'close');
	await pause(100);
	t.log(`${deniedPackets()} packets denied during ${changesOfRun} changes`);
	t.true(deniedPackets() > changesOfRun, 'packets came between the changes');
	t.is(received(), 0);
});

for (const [title, one, other] of [
	['of two labels', 'sdenied', 'sallowed'],
	['of one label that two policies name', 'sboth', 'sboth'],
] as const)
	namespaceTest(`no packet passes to an address that joins a deny and an allow set ${title} at once`, async (t) => {
		t.timeout(300_000);
		const { received, start } = await podAndReceiver(t);
		// The address is in no set, which the tier denies, or in both, which the first rule denies.
		const to = (id: string) => ({ destination: { sets: [id] } });
		const web = policy('web', [], [rule('deny', to(one)), rule('allow', to(other))]);
		const ids = [...new Set<string>([one, other])];
		const stateOf = (members: readonly string[]) =>
			nodePolicy(
				[workload('a', '10.2.0.1', [], [web])],
				[web],
				ids.map((id) => set(id, members)),
			);
		const kernel = new NftablesPolicy({}, { load: loadRuleset });
		t.teardown(() => kernel.close());
		await kernel.sync(stateOf([]));
		slowDownAllow();
		const load = start();
		for (let turn = 0; deniedPackets() === 0 && turn < 100; turn++) await pause(100);
		const member = ['10.0.0.1/32'];
		// A packet meets one in a hundred.
		const changes = 10 * changesOfRun;
		for (let change = 1; change <= changes && received() === 0; change++) {
			const joins = change % 2 === 1;
			const changedSets = ids.map((id) => ({
				...{ id, type: 'nets' as const },
				...(joins ? { added: member, removed: [] } : { added: [], removed: member }),
			}));
			await kernel.apply({ ...noChange, changedSets }, stateOf(joins ? member : []));
			await pause(1);
		}
		load.kill();
		await once(load, 'close');
		await pause(100);
		t.log(`${deniedPackets()} packets denied during ${changes} changes`);
		t.is(received(), 0);
		t.true(deniedPackets() > changes, 'packets came between the changes');
	});
