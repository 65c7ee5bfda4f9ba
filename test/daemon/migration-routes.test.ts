import { execFileSync, spawn } from 'node:child_process';
import test, { type ExecutionContext } from 'ava';
import { systemEnvironment } from '../../src/linux/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { enterRouting, ip, ipAt, link, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

const machine = '10.65.0.5';
const nodes = { source: '10.0.1.2', target: '10.0.1.3', observer: '10.0.1.4', tor: '10.0.1.5' } as const;
type Name = keyof typeof nodes;

/** The node's configuration: sessions to `peers`, and what `more` adds under `bgp`. */
function configured(name: Name, asNumber: number, peers: readonly string[], more = '', rest = ''): RunningDaemon {
	const daemon = new RunningDaemon();
	daemon.configure(
		[
			`asNumber: ${asNumber}`,
			`routerId: ${nodes[name]}`,
			`listen: { address: ${nodes[name]}, port: 179 }`,
			'inSyncTimeoutSeconds: 1',
			`peers: [ ${peers.join(', ')} ]`,
			more,
		].join('\n'),
		`pools: [ { cidr: 10.65.0.0/16, ipipMode: Never } ]\n${rest}`,
	);
	return daemon;
}

const peerOf = (name: Name, asNumber: number, more = '') =>
	`{ name: ${name}, address: ${nodes[name]}, asNumber: ${asNumber}, connectRetrySeconds: 1${more} }`;

/** A namespace that lasts as long as the test; this process is in it afterwards. */
function namespaceOf(t: ExecutionContext): number {
	enterRouting();
	const child = spawn('sleep', ['600'], { stdio: 'ignore', env: systemEnvironment() });
	t.teardown(() => child.kill());
	return child.pid ?? 0;
}

/** The machine at a node, behind an interface as CNI plugins name it. */
function plug(t: ExecutionContext, { pid }: RunningDaemon): number {
	const inside = namespaceOf(t);
	link(inside, ['cali0', '169.254.1.1/32'], ['eth0', `${machine}/32`], pid);
	ipAt(inside, 'route add 169.254.1.1 dev eth0');
	ipAt(inside, 'route add default via 169.254.1.1');
	return inside;
}

async function build(t: ExecutionContext): Promise<Readonly<Record<Name, RunningDaemon>>> {
	const marks = ', exportPolicies: [ mark ], importPolicies: [ all ]';
	const restores = ', importPolicies: [ restore ], exportPolicies: [ all ]';
	const policies = `policies:
  all: { terms: [], otherwise: accept }
  mark:
    terms: [ { match: { priority: 512 }, action: accept, operations: [ { type: add-community, value: "65000:100" } ] } ]
    otherwise: accept
  restore:
    terms: [ { match: { communities: [ "65000:100" ] }, action: accept, operations: [ { type: set-priority, value: 512 } ] } ]
    otherwise: accept`;
	const daemons = {
		source: configured(
			'source',
			64512,
			[peerOf('target', 64512), peerOf('observer', 64512)],
			'originate: [ 10.65.0.0/26 ]',
		),
		target: configured(
			'target',
			64512,
			[peerOf('source', 64512), peerOf('observer', 64512), peerOf('tor', 65001, marks)],
			'originate: [ 10.65.0.64/26 ]',
			policies,
		),
		observer: configured('observer', 64512, [peerOf('source', 64512), peerOf('target', 64512)]),
		tor: configured('tor', 65001, [peerOf('target', 64512, restores)], '', policies),
	};
	const fabric = namespaceOf(t);
	ip('link add br0 type bridge');
	ip('link set br0 up');
	for (const name of Object.keys(daemons) as Name[]) {
		const namespace = namespaceOf(t);
		link(fabric, ['up0', `${nodes[name]}/24`], [name, '192.0.2.1/32'], namespace);
		ipAt(fabric, `link set ${name} master br0`);
		const { log, exitCode } = await daemons[name].start(t);
		t.is(exitCode, undefined, log);
	}
	return daemons;
}

const routesTo = ({ pid }: RunningDaemon, prefix: string) =>
	ipAt(pid, `route show exact ${prefix}`)
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '');
const gatewayAt = ({ pid }: RunningDaemon) => /via (\S+)/.exec(ipAt(pid, `route get ${machine}`))?.[1] ?? 'local';
const answers = ({ pid }: RunningDaemon): boolean => {
	try {
		execFileSync('nsenter', ['-t', String(pid), '-n', 'ping', '-n', '-c', '1', '-W', '2', machine], {
			stdio: 'ignore',
			env: systemEnvironment(),
		});
		return true;
	} catch {
		return false;
	}
};

kernelTest(
	`traffic follows a virtual machine to its new node while it migrates, in this AS and beyond${note}`,
	async (t) => {
		const { source, target, observer, tor } = await build(t);
		const [old, arrived] = [plug(t, source), plug(t, target)];
		ipAt(source.pid, `route add ${machine}/32 dev cali0 metric 1024`);
		await eventually('the block of the source is at the observer', () => gatewayAt(observer) === nodes.source, 60);
		await eventually(
			'and beyond',
			() => gatewayAt(tor) === nodes.target || routesTo(tor, '10.65.0.64/26').length > 0,
			60,
		);
		t.true(answers(observer));

		// The machine runs at the target: Felix gives its route there a lower metric.
		ipAt(old, 'link set eth0 down');
		ipAt(target.pid, `route add ${machine}/32 dev cali0 metric 512`);
		for (const [name, daemon] of Object.entries({ source, observer, tor }))
			await eventually(`the route of ${name} leads to the target`, () => gatewayAt(daemon) === nodes.target, 60);
		for (const daemon of [observer, tor])
			t.deepEqual(routesTo(daemon, `${machine}/32`), [`${machine} via ${nodes.target} dev up0 proto 80 metric 512`]);
		t.true(routesTo(source, `${machine}/32`).includes(`${machine} via ${nodes.target} dev up0 proto 80 metric 512`));
		t.true(answers(observer), 'the machine answers at its new place');
		t.true(answers(source), 'pods of the old node reach it, too');
		const { routes } = (await observer.ask('routes', `${machine}/32`)) as { routes: { localPref: number }[] };
		t.is(routes[0]?.localPref, 2_147_483_135);

		// The migration is over: the route has its ordinary metric, and is not announced any more.
		ipAt(target.pid, `route add ${machine}/32 dev cali0 metric 1024`);
		ipAt(target.pid, `route del ${machine}/32 dev cali0 metric 512`);
		for (const [name, daemon] of Object.entries({ observer, tor }))
			await eventually(`${name} has no host route`, () => routesTo(daemon, `${machine}/32`).length === 0, 60);
		t.true(arrived > 0);
	},
);
