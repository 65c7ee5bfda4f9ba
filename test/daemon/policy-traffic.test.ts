import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';
import { noNamespaces } from '../support/namespace.ts';
import { networkPolicies, networkPolicy, PolicyNode, type TestPod } from '../support/policy-node.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: traffic under policy: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const [openPort, closedPort, establishedPort] = [80, 53, 5000];

/** Waits until a packet that is allowed arrives: neighbours are resolved after that. */
async function reaches(from: TestPod, to: TestPod): Promise<void> {
	for (let round = 0; round < 2000; round++) {
		from.send(to.address, openPort, 999);
		await pause(5);
		if ([...to.received()].length > 0) break;
	}
	await pause(100);
	for (const _ of to.received());
}

/** Sends new and established connections until it is stopped, and counts what arrives. */
class Traffic {
	readonly sent = { allowed: 0, denied: 0 };
	readonly arrived = { allowed: 0, denied: 0 };
	readonly #client: TestPod;
	readonly #server: TestPod;
	readonly #stranger: TestPod;
	#ended = false;
	#running: Promise<void> = Promise.resolve();

	constructor(client: TestPod, server: TestPod, stranger: TestPod) {
		this.#client = client;
		this.#server = server;
		this.#stranger = stranger;
	}

	start(): void {
		this.#running = this.#run();
	}

	/** Stops after the last packet has had time to arrive. */
	async stop(): Promise<void> {
		this.#ended = true;
		await this.#running;
		await pause(100);
		this.#count();
	}

	async #run(): Promise<void> {
		let round = 0;
		while (!this.#ended) {
			const sourcePort = 10_000 + (round++ % 50_000);
			// A new connection each time, and one that goes on all the time.
			for (const port of [sourcePort, establishedPort])
				if (this.#client.send(this.#server.address, openPort, port)) this.sent.allowed++;
			if (this.#client.send(this.#server.address, closedPort, sourcePort)) this.sent.denied++;
			if (this.#stranger.send(this.#server.address, openPort, sourcePort)) this.sent.denied++;
			await pause(2);
			this.#count();
		}
	}

	#count(): void {
		for (const { from, port } of this.#server.received())
			this.arrived[from === this.#client.address && port === openPort ? 'allowed' : 'denied']++;
	}
}

namespaceTest(
	'while the daemon is killed and started again, with and without an API server, no denied packet passes and no allowed one is lost',
	async (t) => {
		const here = await new PolicyNode('t').start(t, 21_782);
		const { client, daemon } = here.node;
		await client.create(
			networkPolicies,
			networkPolicy('server', {
				podSelector: { matchLabels: { app: 'server' } },
				ingress: [
					{
						from: [{ podSelector: { matchLabels: { app: 'client' } } }],
						ports: [{ protocol: 'UDP', port: openPort }],
					},
				],
			}),
			'default',
		);
		const names = ['server', 'client', 'stranger'];
		const pods = here.makePods(names);
		for (const pod of pods) await here.attach(pod, { app: pod.name });
		const [server, sender, stranger] = pods as [TestPod, TestPod, TestPod];
		const enforced = () =>
			daemon.until(
				'all three pods have their policy in the kernel',
				(control) => control.ask('policy', {}).catch(() => undefined),
				(view) => view?.inSync === true && view.programmedAt !== undefined && view.workloads === 3,
			);
		await enforced();
		await reaches(sender, server);
		const during = async (what: string, happens: () => Promise<unknown>) => {
			const traffic = new Traffic(sender, server, stranger);
			traffic.start();
			await pause(200);
			await happens();
			await pause(200);
			await traffic.stop();
			const { sent, arrived } = traffic;
			t.log(
				`${what}: ${arrived.allowed} of ${sent.allowed} allowed packets arrived, ${arrived.denied} of ${sent.denied} denied ones`,
			);
			t.true(sent.allowed > 100);
			t.is(arrived.allowed, sent.allowed, `${what}: allowed packets`);
			t.is(arrived.denied, 0, `${what}: denied packets`);
		};
		const kill = async () => {
			daemon.signal('SIGKILL');
			await daemon.ended();
			await pause(200);
		};
		await during('daemon killed and started again', async () => {
			await kill();
			await daemon.start(t);
			await enforced();
		});
		await during('API server gone, daemon killed and started again', async () => {
			await here.node.stopServer();
			await kill();
			await Promise.race([daemon.start(t), pause(3000)]);
		});
	},
);

/** In a whole run as many as are made in a moment; `BGPMESH_FIRST_PACKET_PODS=1000` for the long form. */
const podCount = Number(process.env['BGPMESH_FIRST_PACKET_PODS'] ?? 12);
const atOnce = 10;

namespaceTest(
	'a pod that sends from before its network exists sends and receives nothing that policy denies, and all that it allows once ADD has returned',
	async (t) => {
		const here = await new PolicyNode('f').start(t, 21_783);
		const { client } = here.node;
		// Everything from and to `locked` is denied, except the packets to `sink` on the open port.
		await client.create(
			networkPolicies,
			networkPolicy('locked', {
				podSelector: { matchLabels: { app: 'locked' } },
				policyTypes: ['Ingress', 'Egress'],
				egress: [
					{
						to: [{ podSelector: { matchLabels: { app: 'sink' } } }],
						ports: [{ protocol: 'UDP', port: openPort }],
					},
				],
			}),
			'default',
		);
		const [sink] = here.makePods(['sink']) as [TestPod];
		await here.attach(sink, { app: 'sink' });
		const pods = here.makePods(Array.from({ length: podCount }, (_, index) => `p${index}`));

		const counts = { deniedSent: 0, deniedOut: 0, deniedIn: 0 };
		/** Addresses whose allowed packets arrived. */
		const reached = new Set<string>();
		const sending = new Set<TestPod>();
		let ended = false;
		const count = () => {
			for (const { from, port } of sink.received())
				if (port === openPort) reached.add(from);
				else counts.deniedOut++;
			for (const pod of pods) for (const _ of pod.received()) counts.deniedIn++;
		};
		const traffic = (async () => {
			for (let round = 0; !ended; round++) {
				for (const pod of sending) {
					if (pod.send(sink.address, closedPort, 1024 + (round % 60_000))) counts.deniedSent++;
					// Its own address is not known before ADD has returned: the kernel fills it in.
					if (pod.address !== '') sink.send(pod.address, openPort, 1024 + (round % 60_000));
				}
				await pause(1);
				count();
			}
		})();

		const waiting = [...pods];
		const attachAll = async () => {
			for (let pod = waiting.shift(); pod !== undefined; pod = waiting.shift()) {
				sending.add(pod);
				await here.attach(pod, { app: 'locked' });
				// Until its neighbour is resolved the kernel keeps few packets, and drops the oldest.
				for (let round = 0; round < 1000 && !reached.has(pod.address); round++) {
					pod.send(sink.address, openPort, 1000);
					await pause(5);
				}
				sending.delete(pod);
			}
		};
		try {
			await Promise.all(Array.from({ length: atOnce }, attachAll));
		} finally {
			ended = true;
			await traffic;
		}
		await pause(100);
		count();
		t.log(`${podCount} pods: ${JSON.stringify({ ...counts, reached: reached.size })}`);
		t.true(counts.deniedSent > podCount, 'each of them has sent what is denied');
		t.is(counts.deniedOut, 0);
		t.is(counts.deniedIn, 0);
		t.is(reached.size, podCount);
	},
);
