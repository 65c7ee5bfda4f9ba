import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { addQuietNamespace, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside } from '../../lab/frames/sockets.ts';
import { openSocketMaps, SocketServices } from '../../src/ebpf/index.ts';
import { networkNamespaceCookie, systemEnvironment } from '../../src/linux/index.ts';
import {
	addressFrontendKey,
	type Backend,
	differenceOf,
	emptyModel,
	type Frontend,
	type Pool,
	type ServiceProtocol,
	type ServicesModel,
} from '../../src/services/index.ts';
import { noNamespaces } from '../support/namespace.ts';
import { noBpf } from './support.ts';

const cgroupRoot = /^\S+ (\S+) cgroup2 /m.exec(
	existsSync('/proc/mounts') ? readFileSync('/proc/mounts', 'utf8') : '',
)?.[1];
const missing = noBpf ?? noNamespaces ?? (cgroupRoot === undefined ? 'no cgroup2 is mounted' : undefined);
if (missing !== undefined) console.warn(`SKIPPED: services at sockets: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const helper = join(dirname(fileURLToPath(import.meta.url)), 'inside/sockets.js');
const [web, dns] = ['10.96.0.1', '10.96.0.2'] as const;
const [web6, dns6] = ['fd00:96::1', 'fd00:96::2'] as const;
const [one, two] = ['10.1.0.1', '10.1.0.2'] as const;
const [one6, two6] = ['fd00:1::1', 'fd00:1::2'] as const;
const [tcpPort, udpPort] = [8080, 5353] as const;

function service(
	address: string,
	protocol: ServiceProtocol,
	port: number,
	backends: readonly string[],
	options: { readonly affinity?: number; readonly masquerade?: boolean } = {},
): { readonly pool: Pool; readonly frontend: Frontend } {
	const family = address.includes(':') ? 'ipv6' : 'ipv4';
	const servicePort = `ns/${address}:${port}/${protocol}@${family}`;
	const key = `${servicePort}#cluster`;
	const targetPort = protocol === 'tcp' ? tcpPort : udpPort;
	const dnat = { type: 'dnat', pool: key, masquerade: options.masquerade ?? false } as const;
	return {
		pool: {
			...{ key, servicePort, family, protocol },
			backends: backends.map((backend): Backend => ({ address: backend, port: targetPort, local: true })),
			...(options.affinity === undefined ? {} : { affinityTimeoutSeconds: options.affinity }),
		},
		frontend: {
			...{ type: 'cluster-ip', key: addressFrontendKey(address, protocol, port), servicePort, service: 'ns/s' },
			...{
				family,
				protocol,
				port,
				address,
				actions: { pod: dnat, node: { ...dnat, masquerade: true }, outside: dnat },
			},
		},
	};
}

const modelOf = (...services: readonly ReturnType<typeof service>[]): ServicesModel => ({
	...emptyModel,
	pools: new Map(services.map(({ pool }) => [pool.key, pool])),
	frontends: new Map(services.map(({ frontend }) => [frontend.key, frontend])),
});

/** Processes of one network namespace in one cgroup, with servers at all backends. */
class Pod {
	readonly #child: ChildProcess;
	readonly #answers: ((line: string) => void)[] = [];

	private constructor(child: ChildProcess) {
		this.#child = child;
		if (child.stdout === null) throw new Error('no output');
		createInterface({ input: child.stdout }).on('line', (line) => this.#answers.shift()?.(line));
	}

	static async start(t: ExecutionContext, namespace: string, cgroup: string): Promise<Pod> {
		const words = ['netns', 'exec', namespace, process.execPath, helper, `${tcpPort},${udpPort}`, one, two, one6, two6];
		const child = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'], env: systemEnvironment() });
		const ended = new Promise((resolve) => child.once('close', resolve));
		t.teardown(async () => {
			child.kill('SIGKILL');
			await ended;
			rmdirSync(cgroup);
			removeNamespace(namespace);
		});
		// The helper replaces `ip` in its process.
		writeFileSync(join(cgroup, 'cgroup.procs'), String(child.pid));
		const pod = new Pod(child);
		await pod.#next();
		return pod;
	}

	#next(): Promise<string> {
		return new Promise((resolve) => this.#answers.push(resolve));
	}

	async ask(
		type: 'tcp' | 'udp',
		host: string,
		port: number,
		more: { readonly socket?: string; readonly family?: 4 | 6; readonly connected?: boolean } = {},
	): Promise<{ server?: string; peer?: string; remote?: string; error?: string }> {
		const answer = this.#next();
		this.#child.stdin?.write(`${JSON.stringify({ type, host, port, ...more })}\n`);
		return JSON.parse(await answer);
	}
}

async function open(t: ExecutionContext, letter: string, asNode = false) {
	const namespace = `bmk${process.pid}${letter}`;
	const cgroup = join(cgroupRoot ?? '', namespace);
	mkdirSync(cgroup);
	addQuietNamespace(namespace);
	const run = (words: string) =>
		execFileSync('ip', ['-n', namespace, ...words.split(' ')], { env: systemEnvironment() });
	inside(namespace, () => {
		for (const scope of ['all', 'default', 'lo']) writeFileSync(`/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`, '0');
	});
	run('link set lo up');
	for (const address of [one, two]) run(`addr add ${address}/32 dev lo`);
	for (const address of [one6, two6]) run(`addr add ${address}/128 dev lo nodad`);
	const pod = await Pod.start(t, namespace, cgroup);
	const maps = openSocketMaps(undefined, { frontends: 64, backends: 64, sockets: 1024 });
	const nodeCookie = asNode ? inside(namespace, networkNamespaceCookie) : networkNamespaceCookie();
	const services = new SocketServices({ maps, cgroup, nodeCookie });
	t.teardown(() => {
		services.close();
		for (const map of maps.values()) map.close();
	});
	services.attach();
	return { pod, services };
}

kernelTest('a connection to a cluster IP goes to each backend, and the client sees the service', async (t) => {
	const { pod, services } = await open(t, 'c');
	services.sync(modelOf(service(web, 'tcp', 80, [one, two]), service(web6, 'tcp', 80, [one6, two6])));
	for (const [host, peer, backends, family] of [
		[web, `${web} 80`, [one, two], undefined],
		[web6, `${web6} 80`, [one6, two6], undefined],
		// RFC 4291 §2.5.5.2: IPv4 in a socket of IPv6.
		[`::ffff:${web}`, `::ffff:${web} 80`, [one, two], 6],
	] as const) {
		const servers = new Set<string | undefined>();
		for (let round = 0; round < 40 && servers.size < 2; round++) {
			const answer = await pod.ask('tcp', host, 80, family === undefined ? {} : { family });
			t.is(answer.peer, peer, answer.error);
			servers.add(answer.server);
		}
		t.deepEqual([...servers].sort(), [...backends]);
	}
	t.is((await pod.ask('tcp', one, tcpPort)).peer, `${one} ${tcpPort}`, 'other addresses stay');
});

for (const [name, host, backends] of [
	['IPv4', dns, [one, two]],
	['IPv6', dns6, [one6, two6]],
	['IPv4 in a socket of IPv6', `::ffff:${dns}`, [one, two]],
] as const)
	kernelTest(`${name}: UDP stays with its backend until that is gone, and answers come from the service`, async (t) => {
		const { pod, services } = await open(t, `u${name.length}`);
		const address = host.replace('::ffff:', '');
		const before = modelOf(service(address, 'udp', 53, backends));
		services.sync(before);
		const seen = new Set<string | undefined>();
		for (let round = 0; round < 10; round++) {
			const { server, peer, error } = await pod.ask('udp', host, 53, { socket: 'a' });
			t.is(peer, `${host} 53`, error);
			seen.add(server);
		}
		t.is(seen.size, 1);
		const [kept] = seen;
		const other = kept === backends[0] ? backends[1] : backends[0];
		const after = modelOf(service(address, 'udp', 53, [other]));
		services.apply(differenceOf(before, after), after);
		t.is((await pod.ask('udp', host, 53, { socket: 'a' })).server, other);
		const connected = await pod.ask('udp', host, 53, { socket: 'b', connected: true });
		t.is(connected.server, other, connected.error);
		t.deepEqual([connected.peer, connected.remote], [`${host} 53`, `${host} 53`], 'recvmsg and getpeername');
	});

for (const [name, host, backends] of [
	['IPv4', web, [one, two]],
	['IPv6', web6, [one6, two6]],
] as const)
	kernelTest(`${name}: a client with affinity stays with its backend, also over a change that keeps it`, async (t) => {
		const { pod, services } = await open(t, `a${name}`);
		const before = modelOf(service(host, 'tcp', 80, backends, { affinity: 60 }));
		services.sync(before);
		const seen = new Set<string | undefined>();
		for (let round = 0; round < 12; round++) seen.add((await pod.ask('tcp', host, 80)).server);
		t.is(seen.size, 1);
		const [kept = ''] = seen;
		const other = kept === backends[0] ? backends[1] : backends[0];
		const turned = modelOf(service(host, 'tcp', 80, [other, kept], { affinity: 60 }));
		services.apply(differenceOf(before, turned), turned);
		t.is((await pod.ask('tcp', host, 80)).server, kept);
		const without = modelOf(service(host, 'tcp', 80, [other], { affinity: 60 }));
		services.apply(differenceOf(turned, without), without);
		t.is((await pod.ask('tcp', host, 80)).server, other);
	});

kernelTest('the node is translated where pods are not, and a removed service is left to others', async (t) => {
	const masqueraded = modelOf(
		service(web, 'tcp', 80, [one], { masquerade: true }),
		service(dns6, 'udp', 53, [one6], { masquerade: true }),
	);
	const { pod, services } = await open(t, 'p');
	services.sync(masqueraded);
	t.is((await pod.ask('tcp', web, 80)).server, undefined);
	const node = await open(t, 'n', true);
	node.services.sync(masqueraded);
	t.is((await node.pod.ask('tcp', web, 80)).server, one);
	const datagram = await node.pod.ask('udp', dns6, 53);
	t.deepEqual([datagram.server, datagram.peer], [one6, `${dns6} 53`], datagram.error);
	node.services.apply(differenceOf(masqueraded, emptyModel), emptyModel);
	t.is((await node.pod.ask('tcp', web, 80)).server, undefined);
});
