import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { addQuietNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { ipPacket, readPacket } from '../../lab/frames/packets.ts';
import { HostReceiver, HostSender } from '../../lab/frames/sockets.ts';
import { parseAddress, podInterfaceName } from '../../src/core/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { noBpf } from '../ebpf/support.ts';
import { pinDirectory } from '../support/bpffs.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { addInterface, enterRouting, noNamespaces } from '../support/namespace.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: packets over restarts and changes of the data plane: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

type Dataplane = 'nftables' | 'ebpf';
const addresses = { client: '10.42.0.5', web: '10.42.0.6' } as const;
type PodName = keyof typeof addresses;
const gateway = '169.254.1.1';
const udp = 17;
const [asking, allowed, denied] = [4000, 80, 81] as const;

/** `client` may ask `web` for port 80; answers pass as parts of their connection alone. */
const resources = Object.entries(addresses)
	.map(
		([name, address]) => `apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: default, labels: { app: ${name} } }
spec: { nodeName: test }
status: { phase: Running, podIP: ${address} }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: ${name}, namespace: default }
spec:
  podSelector: { matchLabels: { app: ${name} } }
  policyTypes: ${name === 'web' ? '[ Ingress, Egress ]' : '[ Ingress ]'}
  ingress: ${name === 'web' ? '[ { ports: [ { port: 80 }, { port: 80, protocol: UDP } ] } ]' : '[]'}
`,
	)
	.join('---\n');

/** Packets between two pods of this node, each 10 ms one of each kind. */
class Traffic {
	readonly counts = { sent: 0, asked: 0, answered: 0, denied: 0 };
	readonly #namespaces: Readonly<Record<PodName, string>>;
	readonly #sockets: Readonly<Record<PodName, { readonly sender: HostSender; readonly receiver: HostReceiver }>>;
	readonly #children: ChildProcess[] = [];
	#client: ChildProcess | undefined;
	#ping: ChildProcess | undefined;
	#pinged = '';
	#lines = '';
	#tick: NodeJS.Timeout | undefined;

	/** This process is in the namespace of the node. */
	constructor(t: ExecutionContext, letter: string) {
		const namespaceOf = (name: PodName) => `bmk${process.pid}${letter}${name}`;
		this.#namespaces = { client: namespaceOf('client'), web: namespaceOf('web') };
		const open = (name: PodName) => {
			const namespace = this.#namespaces[name];
			addQuietNamespace(namespace);
			t.teardown(() => removeNamespace(namespace));
			const node = podInterfaceName('default', name);
			ipBatch([
				`link add ${node} type veth peer name eth0 netns ${namespace}`,
				`link set ${node} up`,
				`addr add ${gateway}/32 dev ${node}`,
				`route add ${addresses[name]}/32 dev ${node}`,
			]);
			ipBatch(
				[
					...['link set lo up', 'link set eth0 up', `addr add ${addresses[name]}/32 dev eth0`],
					...[`route add ${gateway}/32 dev eth0`, `route add default via ${gateway}`],
				],
				namespace,
			);
			return { sender: new HostSender(namespace, 'ipv4'), receiver: new HostReceiver(namespace, 'ipv4', udp) };
		};
		this.#sockets = { client: open('client'), web: open('web') };
		t.teardown(() => {
			clearInterval(this.#tick);
			for (const child of this.#children) child.kill('SIGKILL');
			for (const { sender, receiver } of Object.values(this.#sockets)) {
				sender.close();
				receiver.close();
			}
		});
	}

	/** Opens the connections that are allowed, and begins to send what is denied. */
	async start(): Promise<void> {
		const server =
			'require("node:net").createServer((socket) => socket.pipe(socket)).listen(80, () => console.log("up"))';
		const listening = this.#spawn('web', [process.execPath, '-e', server]);
		let up = false;
		listening.stdout?.once('data', () => {
			up = true;
		});
		await eventually('the server listens', () => up);
		const client = `const socket = require("node:net").connect(80, "${addresses.web}");
socket.on("close", () => process.exit(1)); socket.on("error", () => process.exit(1));
process.stdin.pipe(socket).pipe(process.stdout);`;
		this.#client = this.#spawn('client', [process.execPath, '-e', client]);
		this.#client.stdout?.on('data', (data: Buffer) => {
			this.#lines += data.toString();
		});
		this.#ping = this.#spawn('client', ['ping', '-n', '-q', '-i', '0.01', addresses.web]);
		this.#ping.stdout?.on('data', (data: Buffer) => {
			this.#pinged += data.toString();
		});
		// The first packets wait for their neighbours.
		await eventually('datagrams are answered', () => {
			this.#exchange();
			return this.counts.answered > 0;
		});
		await this.#settle();
		Object.assign(this.counts, { sent: 0, asked: 0, answered: 0 });
		this.#tick = setInterval(() => this.#exchange(), 10);
	}

	/** Does the connection of TCP still carry data in both directions? */
	async echoes(text: string): Promise<boolean> {
		this.#client?.stdin?.write(text);
		await eventually(`the connection carries "${text}"`, () => this.#lines.endsWith(text));
		return true;
	}

	/** Waits until there are this many more packets of each kind. */
	async goesOn(count = 30): Promise<void> {
		const enough = this.counts.sent + count;
		await eventually('packets are sent', () => this.counts.sent >= enough);
	}

	async end(): Promise<{ readonly sent: number; readonly received: number }> {
		clearInterval(this.#tick);
		await this.#settle();
		const ended = new Promise((resolve) => this.#ping?.once('close', resolve));
		this.#ping?.kill('SIGINT');
		await ended;
		const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(this.#pinged) ?? [];
		return { sent: Number(sent), received: Number(received) };
	}

	async #settle(): Promise<void> {
		const { counts } = this;
		for (let tries = 0; tries < 100 && (counts.asked < counts.sent || counts.answered < counts.asked); tries++) {
			await pause(10);
			this.#receive();
		}
	}

	#exchange(): void {
		this.#send('client', asking, allowed);
		this.counts.sent++;
		this.#send('client', asking, denied);
		this.#receive();
	}

	#receive(): void {
		for (const { sourcePort, destinationPort } of this.#received('web')) {
			if (destinationPort === denied) this.counts.denied++;
			if (sourcePort !== asking || destinationPort !== allowed) continue;
			this.counts.asked++;
			this.#send('web', allowed, asking);
		}
		for (const { sourcePort } of this.#received('client')) if (sourcePort === allowed) this.counts.answered++;
	}

	*#received(name: PodName) {
		const { receiver } = this.#sockets[name];
		for (let packet = receiver.receive(); packet !== undefined; packet = receiver.receive()) {
			const facts = readPacket(packet);
			if (facts !== undefined) yield facts;
		}
	}

	#send(from: PodName, sourcePort: number, destinationPort: number): void {
		const to = parseAddress(addresses[from === 'client' ? 'web' : 'client']);
		const source = parseAddress(addresses[from]);
		this.#sockets[from].sender.send(
			ipPacket({ source, destination: to, protocol: udp, sourcePort, destinationPort }),
			to,
		);
	}

	#spawn(name: PodName, command: readonly string[]): ChildProcess {
		const child = spawn('ip', ['netns', 'exec', this.#namespaces[name], ...command], {
			stdio: ['pipe', 'pipe', 'inherit'],
			env: systemEnvironment(),
		});
		this.#children.push(child);
		return child;
	}
}

kernelTest(
	'what policy denies stays denied, and what it allows goes on, over restarts and other data planes',
	async (t) => {
		t.timeout(600_000);
		enterRouting();
		addInterface('eth0', ['10.80.0.1/24']);
		const traffic = new Traffic(t, 'a');
		const pins = pinDirectory(t);
		const daemon = new RunningDaemon();
		const file = join(daemon.folder, 'resources.yaml');
		writeFileSync(file, resources);
		const configure = (dataplane: Dataplane) =>
			daemon.configure(
				'{ asNumber: 64512, routerId: 10.80.0.1, listen: { address: 127.0.0.1, port: 21797 } }',
				`fib: { enabled: false }
networkPolicy: { enforce: true, resourceFiles: [${file}] }
ebpf: { pinDirectory: ${pins}, podRedirect: false }
dataplane: ${dataplane}
`,
			);
		const becomes = (dataplane: Dataplane) =>
			daemon.until(
				`pods are judged by ${dataplane}`,
				async (control) => {
					const { dataplane: now, inSync, programmedAt } = await control.ask('policy', {});
					return { now, programmed: inSync && programmedAt !== undefined };
				},
				({ now, programmed }) => now === dataplane && programmed,
			);
		configure('nftables');
		await daemon.start(t);
		await becomes('nftables');
		await traffic.start();
		const steps: readonly (readonly [signal: 'SIGTERM' | 'SIGKILL' | 'SIGHUP', dataplane: Dataplane])[] = [
			['SIGTERM', 'nftables'],
			['SIGKILL', 'nftables'],
			['SIGHUP', 'ebpf'],
			['SIGTERM', 'ebpf'],
			['SIGKILL', 'ebpf'],
			['SIGHUP', 'nftables'],
			['SIGTERM', 'ebpf'],
			['SIGTERM', 'nftables'],
		];
		for (const [signal, dataplane] of steps) {
			await traffic.goesOn();
			configure(dataplane);
			daemon.signal(signal);
			if (signal !== 'SIGHUP') {
				await daemon.ended();
				await daemon.start(t);
			}
			await becomes(dataplane);
			await traffic.goesOn();
			const step = `${signal}, then ${dataplane}`;
			t.true(await traffic.echoes(`${step}.`));
			t.is(traffic.counts.denied, 0, `denied datagrams that arrived: ${step}`);
		}
		const { sent, received } = await traffic.end();
		t.true(sent > 100);
		t.is(received, 0, 'pings that policy denies are not answered');
		const { sent: datagrams, ...arrived } = traffic.counts;
		t.deepEqual(arrived, { asked: datagrams, answered: datagrams, denied: 0 });
	},
);
