import { writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside } from '../../lab/frames/sockets.ts';
import { createPolicyMaps, EbpfPolicy, TcxAttacher } from '../../src/ebpf/index.ts';
import { Flag } from '../../src/ebpf/policy/connection.ts';
import { Layout } from '../../src/ebpf/policy/maps.ts';
import { Conntrack, loadRuleset } from '../../src/linux/index.ts';
import { NftablesServices } from '../../src/nftables/index.ts';
import { addressFrontendKey, emptyModel, type Frontend } from '../../src/services/index.ts';
import { direction, nodePolicy, policy, rule } from '../nftables/fixtures.ts';
import { noNamespaces } from '../support/namespace.ts';
import { Host, tcpPort, udpPort } from './hosts.ts';
import { noBpf } from './support.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: packets between pods of a node: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const [first, second] = [
	{ name: 'a', index: 601, ipv4: '10.42.0.1', ipv6: 'fd00:42::1', near: '02:00:00:00:00:0a', far: '02:00:00:00:01:0a' },
	{ name: 'b', index: 602, ipv4: '10.42.0.2', ipv6: 'fd00:42::2', near: '02:00:00:00:00:0b', far: '02:00:00:00:01:0b' },
] as const;
const service = '10.96.0.1';
const gateways = { ipv4: '169.254.1.1', ipv6: 'fe80::1:1' } as const;
const sizes = {
	...{ netMembers: 64, addressPortMembers: 64, connections: 1024, fragments: 64, counters: 64 },
	...{ eventBytes: 1 << 16, rulePrograms: 64, endpoints: 16, sources: 16 },
};

/** A node with two pods, whose services are translated by nftables. */
async function open(t: ExecutionContext) {
	const node = `bmr${process.pid}n`;
	const namespaceOf = ({ name }: { readonly name: string }) => `bmr${process.pid}${name}`;
	const namespaces = [node, namespaceOf(first), namespaceOf(second)];
	t.teardown(() => namespaces.forEach(removeNamespace));
	for (const namespace of namespaces) addRouterNamespace(namespace);
	for (const pod of [first, second]) {
		const device = `cali${pod.name}`;
		ipBatch([
			`link add ${device} index ${pod.index} address ${pod.near} netns ${node} type veth peer name eth0 address ${pod.far} netns ${namespaceOf(pod)}`,
		]);
		inside(node, () => writeFileSync(`/proc/sys/net/ipv6/conf/${device}/accept_dad`, '0'));
		ipBatch(
			[`link set ${device} up`, `route add ${pod.ipv4}/32 dev ${device}`, `route add ${pod.ipv6}/128 dev ${device}`],
			node,
		);
		ipBatch(
			[
				...['link set eth0 up', `addr add ${pod.ipv4}/32 dev eth0`, `addr add ${pod.ipv6}/128 dev eth0 nodad`],
				`route add ${gateways.ipv4}/32 dev eth0`,
				...Object.values(gateways).map(
					(gateway) => `neigh replace ${gateway} lladdr ${pod.near} dev eth0 nud permanent`,
				),
				...Object.values(gateways).map((gateway) => `route add default via ${gateway} dev eth0`),
			],
			namespaceOf(pod),
		);
	}
	const maps = createPolicyMaps(sizes);
	const programs = new EbpfPolicy({
		maps,
		attacher: new TcxAttacher({ inside: (act) => inside(node, act) }),
		interfaces: async () => new Map([first, second].map(({ name, index }) => [`cali${name}`, index])),
	});
	const services = policy('services', [
		rule('allow', { protocol: 6, destination: { ports: { ranges: [{ first: tcpPort, last: tcpPort }], sets: [] } } }),
		rule('allow', { protocol: 17, destination: { ports: { ranges: [{ first: udpPort, last: udpPort }], sets: [] } } }),
	]);
	const workloads = [first, second].map(({ name, ipv4, ipv6 }) => ({
		...{ type: 'workload' as const, key: `ns/${name}`, interfaceName: `cali${name}`, addresses: [ipv4, ipv6] },
		...{ ingress: direction('ingress', [services]), egress: direction('egress', []) },
	}));
	const redirect = async (isOn: boolean) => {
		programs.redirect(isOn);
		await programs.sync(nodePolicy(workloads, [services], []));
	};
	const rules = inside(node, () => new NftablesServices({ load: (text) => inside(node, () => loadRuleset(text)) }));
	const conntrack = inside(node, () => new Conntrack());
	t.teardown(() => {
		programs.close();
		rules.close();
		conntrack.close();
		for (const map of maps.values()) map.close();
	});
	const pool = { key: 'ns/s#cluster', servicePort: 'ns/s', family: 'ipv4', protocol: 'tcp' } as const;
	const dnat = { type: 'dnat', pool: pool.key, masquerade: false } as const;
	const frontend: Frontend = {
		...{ type: 'cluster-ip', key: addressFrontendKey(service, 'tcp', 80), servicePort: 'ns/s', service: 'ns/s' },
		...{
			family: 'ipv4',
			protocol: 'tcp',
			port: 80,
			address: service,
			actions: { pod: dnat, node: dnat, outside: dnat },
		},
	};
	await rules.sync({
		...emptyModel,
		pools: new Map([[pool.key, { ...pool, backends: [{ address: second.ipv4, port: tcpPort, local: true }] }]]),
		frontends: new Map([[frontend.key, frontend]]),
	});
	await Host.start(t, namespaceOf(second), [second.ipv4, second.ipv6]);
	const client = await Host.start(t, namespaceOf(first), []);
	/** Connections of TCP and UDP that the kernel of the node has tracked. */
	const tracked = async () => {
		const flows = [...(await conntrack.list('ipv4')), ...(await conntrack.list('ipv6'))];
		return flows.filter(({ original }) => [6, 17].includes(original.protocol)).length;
	};
	/** Flags of the connections of TCP over IPv4, by interface. */
	const flags = () => {
		const connections = maps.get('connections');
		const at = Layout.connection;
		const found = [...(connections?.keys() ?? [])].filter((key) => key[at.protocol] === 6 && key[at.family] === 4);
		return found.map((key) => {
			const value = connections?.get(key);
			return [
				new DataView(key.buffer, key.byteOffset).getUint32(0, true),
				value === undefined ? 0 : new DataView(value.buffer).getUint32(Layout.connectionValue.flags, true),
			];
		});
	};
	return { client, redirect, tracked, flags };
}

kernelTest(
	'what goes into a pod at once is seen at both interfaces: answers, and the end of a connection',
	async (t) => {
		const { client, redirect, flags } = await open(t);
		await redirect(true);
		const { received, error } = await client.ask('tcp', second.ipv4, tcpPort, { send: 100_000, answer: 200_000 });
		t.is(received, 200_000, error);
		const ended = Flag.answered | Flag.finOfOpener | Flag.finOfResponder;
		const isEnded = () => flags().every(([, bits]) => bits === ended);
		for (let tries = 0; tries < 200 && !isEnded(); tries++) await new Promise((resolve) => setTimeout(resolve, 20));
		t.deepEqual(
			flags().sort(([left = 0], [right = 0]) => left - right),
			[
				[first.index, ended],
				[second.index, ended],
			],
		);
	},
);

kernelTest('packets between pods pass the kernel by, are judged, and answers of nftables find their way', async (t) => {
	const { client, redirect, tracked } = await open(t);
	const direct = async () => {
		for (const address of [second.ipv4, second.ipv6]) {
			const own = address === second.ipv4 ? first.ipv4 : first.ipv6;
			const bulk = await client.ask('tcp', address, tcpPort, { send: 100_000, answer: 200_000 });
			t.deepEqual([bulk.client, bulk.sent, bulk.received], [own, 100_000, 200_000], bulk.error);
			t.is((await client.ask('udp', address, udpPort)).client, own);
			t.is((await client.ask('udp', address, 9999, { wait: 300 })).error, 'timeout', 'denied, not refused');
		}
	};
	await redirect(true);
	await direct();
	t.is(await tracked(), 0);
	const translated = await client.ask('tcp', service, 80, { send: 100_000, answer: 200_000 });
	t.deepEqual([translated.peer, translated.received], [`${service} 80`, 200_000], translated.error);
	t.is(await tracked(), 1);
	await redirect(false);
	await direct();
	t.true((await tracked()) > 4);
});
