import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';
import { loadRuleset, systemEnvironment } from '../../src/linux/index.ts';
import { NftablesPolicy, policyTable } from '../../src/nftables/index.ts';
import { enterRouting, ip, ipAt, noNamespaces } from '../support/namespace.ts';
import { noChange, nodePolicy, policy, rule, workload } from './fixtures.ts';

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
function slowDown(): void {
	const rules = Array.from({ length: 2000 }, () => '\t\tmeta mark 0xdead accept').join('\n');
	nft(`table inet ${policyTable} {\n\tchain slow {\n${rules}\n\t}\n}\n`);
	const chain = /chain (\S*from-input\S*) \{/.exec(listTable())?.[1];
	nft(`insert rule inet ${policyTable} ${chain} jump slow`);
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

namespaceTest('no packet passes a policy that denies it before and after a change', async (t) => {
	t.timeout(300_000);
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
	const load = spawn('nsenter', ['-t', String(pod.pid), '-n', process.execPath, '-e', sender], { stdio: 'inherit' });
	const denied = () =>
		[...listTable().matchAll(/-e-deny \{\s+packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);
	for (let turn = 0; denied() === 0 && turn < 100; turn++) await pause(100);
	for (let change = 1; change <= changesOfRun; change++) {
		const { web, state } = stateOf(change + 1);
		await kernel.apply({ ...noChange, policies: [web] }, state);
		await pause(1);
	}
	load.kill();
	await once(load, 'close');
	await pause(100);
	t.log(`${denied()} packets denied during ${changesOfRun} changes`);
	t.true(denied() > changesOfRun, 'packets came between the changes');
	t.is(received, 0);
});
