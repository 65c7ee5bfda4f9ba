/**
 * Inside Debian's kernel with systemd as the first process: `dataplane: ebpf` in the unit of this
 * repository, without and with its drop-in. A pod is a namespace; a policy admits one of the two
 * addresses of the neighbour. Prints one line of JSON for each statement. Argument: the folder with
 * the bundles.
 */
import { cpSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ControlClient, NoDaemonError, type PolicyOverviewView } from '../../../src/control/index.ts';
import { podInterfaceName } from '../../../src/core/index.ts';
import { equal, holds, must, pingDuring, printStatements, run, until } from '../../support/statements.ts';
import { config, configFile, dropIns, install, service, show, trouble, unit, works } from './unit.ts';

const [folder = ''] = process.argv.slice(2);
const pod = '10.42.0.5';
const hostEnd = podInterfaceName('default', 'web');
const resources = '/etc/bgpmesh/resources.yaml';
const pins = '/run/bgpmesh-bpf/pins';
const fromNeighbour = ['ip', 'netns', 'exec', 'tor', 'ping', '-n', '-I'];
const [allowed, denied] = [service, '10.9.0.2'];

async function addPod(): Promise<void> {
	writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
	for (const words of [
		'netns add pod',
		`link add ${hostEnd} type veth peer name eth0 netns pod`,
		`addr add 10.42.0.1/32 dev ${hostEnd}`,
		`link set ${hostEnd} up`,
		'-n pod link set eth0 up',
		`-n pod addr add ${pod}/32 dev eth0`,
		'-n pod route add 10.42.0.1 dev eth0',
		'-n pod route add default via 10.42.0.1',
		`route add ${pod} dev ${hostEnd}`,
		`-n tor route add ${pod} via 10.9.0.1`,
	])
		await must('ip', ...words.split(' '));
	writeFileSync(
		resources,
		`apiVersion: v1
kind: Pod
metadata: { name: web, namespace: default, labels: { app: web } }
spec: { nodeName: guest }
status: { phase: Running, podIP: ${pod} }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: default }
spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: ${allowed}/32 } }] }] }
`,
	);
	writeFileSync(
		configFile,
		config(
			{},
			`networkPolicy: { enforce: true, resourceFiles: [${resources}] }
dataplane: ebpf
ebpf: { pinDirectory: ${pins} }
`,
		),
	);
}

// Not by our own command: its start takes seconds in this kernel.
const control = new ControlClient('/run/bgpmesh/bgpmesh.sock');
const ebpf = () => control.ask('ebpf', {});

/** Echo replies to each of the two addresses, of five requests each. */
async function received(): Promise<readonly number[]> {
	const ping = async (from: string) => {
		const [command = '', ...args] = [...fromNeighbour, from, '-c', '5', '-i', '0.2', '-W', '3', pod];
		return Number(/ (\d+) received/.exec((await run(command, ...args)).output)?.[1]);
	};
	return [await ping(allowed), await ping(denied)];
}

/** Pings of both addresses while `act` runs: all of one are answered, and none of the other. */
async function undisturbed(act: () => Promise<void>): Promise<string> {
	const of = (address: string) => [...fromNeighbour, address, '-i', '0.1', pod];
	let second = { sent: 0, lost: 0 };
	const first = await pingDuring(of(allowed), async () => {
		second = await pingDuring(of(denied), act);
	});
	equal(first.lost, 0);
	equal(second.lost, second.sent);
	return `${first.sent} pings answered, ${second.sent} dropped`;
}

/** The pinned links and maps; another object of that name has another inode. */
const pinned = () =>
	readdirSync(pins, { recursive: true, encoding: 'utf8' })
		.sort()
		.map((name) => `${name} ${statSync(join(pins, name)).ino}`);

async function isInSync(dataplane: 'nftables' | 'ebpf'): Promise<boolean> {
	let text = '';
	try {
		for await (const chunk of control.text('policy', {})) text += chunk;
	} catch (error) {
		if (error instanceof NoDaemonError) return false;
		throw error;
	}
	const { inSync, dataplane: now, programmedAt } = JSON.parse(text) as PolicyOverviewView;
	return inSync && now === dataplane && programmedAt !== undefined;
}

await install(folder);
await addPod();
await printStatements(
	{
		async 'without the drop-in, the missing capability is named and nftables enforces'() {
			await must('systemctl', 'start', unit);
			await until('nftables enforces', () => isInSync('nftables'));
			const text = (await run('bgpmesh', 'ebpf', 'show')).output;
			holds(text, text.includes('the capability CAP_BPF is missing') && !text.includes('CAP_NET_ADMIN is missing'));
			const status = (await run('bgpmesh', 'status')).output;
			holds(status, status.includes('CAP_BPF'));
			equal(await received(), [5, 0]);
			return (await ebpf()).problem;
		},
		async 'with the drop-in, programs are attached to the interface of the pod, and drop what is denied'() {
			cpSync(join(folder, 'systemd/bgpmeshd-ebpf.conf'), join(dropIns, 'ebpf.conf'));
			await must('systemctl', 'daemon-reload');
			await must('systemctl', 'restart', unit);
			await until('programs enforce', () => isInSync('ebpf'));
			const { problem, attachment, pods, pinDirectory } = await ebpf();
			equal([problem, attachment, pinDirectory], [undefined, 'tcx', pins]);
			equal(
				pods.map((each) => [each.pod, each.interface]),
				[['default/web', hostEnd]],
			);
			holds(
				'no instructions',
				pods.every(({ instructions }) => instructions.ingress > 0 && instructions.egress > 0),
			);
			equal(await received(), [5, 0]);
			const { counters } = await ebpf();
			const dropped = counters.find(({ direction, action }) => direction === 'ingress' && action === 'deny');
			holds(JSON.stringify(counters), (dropped?.packets ?? 0) >= 5);
			equal((await must('ps', '-o', 'user=', '-p', await show('MainPID'))).trim(), 'bgpmesh');
			return `${attachment}, ${dropped?.packets} packets dropped by ${dropped?.decidedBy}`;
		},
		async 'a restart keeps links and maps, and no packet meets another verdict'() {
			const before = pinned();
			holds('nothing is pinned', before.length > 0);
			const seen = await undisturbed(async () => {
				await must('systemctl', 'restart', unit);
				await until('programs enforce', () => isInSync('ebpf'));
				await until('the session after the restart', works);
			});
			equal(pinned(), before);
			return `${seen}; ${before.length} pins`;
		},
		async 'programs enforce while the unit is stopped, and are taken over by the next start'() {
			const before = pinned();
			const seen = await undisturbed(async () => {
				await must('systemctl', 'stop', unit);
				await pause(3000);
				equal(pinned(), before);
				await must('systemctl', 'start', unit);
				await until('programs enforce', () => isInSync('ebpf'));
			});
			equal(pinned(), before);
			return seen;
		},
	},
	trouble,
);
process.exit(0);
