import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import { check, lastErrno, libc, loadByNft, systemEnvironment } from '../../src/linux/index.ts';
import { guardRules, type NatPool, natRules, noGuardRules } from '../../src/nftables/index.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';

const missing = noNamespaces ?? findNft();
if (missing !== undefined) console.warn(`SKIPPED: nftables in the kernel: ${missing}`);
const nftTest = missing === undefined ? test.serial : test.skip;

function findNft(): string | undefined {
	try {
		execFileSync('nft', ['--version'], { stdio: 'ignore', env: systemEnvironment() });
		return undefined;
	} catch {
		return 'the command nft is missing; install: nftables';
	}
}

const listed = (): string => execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8', env: systemEnvironment() });

const nonBlocking = 0x800;
const raw = 3 | nonBlocking;
const ipInIp = 4;

/** `sockaddr_in`. */
const socketAddress = (address: string): Uint8Array =>
	Uint8Array.from([2, 0, 0, 0, ...address.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0]);

/** A raw socket for protocol 4, for one address of ours. */
function ipInIpSocket(address: string) {
	const fd = check('socket', libc().socket(2, raw, ipInIp));
	check('bind', libc().bind(fd, socketAddress(address), 16));
	const buffer = new Uint8Array(2048);
	return {
		send: (to: string) => void check('sendto', libc().sendto(fd, new Uint8Array(20), 20, 0, socketAddress(to), 16)),
		/** Sources of received packets. */
		received(): string[] {
			const sources: string[] = [];
			while (libc().recv(fd, buffer, buffer.length, 0) >= 0) sources.push([...buffer.subarray(12, 16)].join('.'));
			if (lastErrno() !== 11) throw new Error(`recv: errno ${lastErrno()}`);
			return sources;
		},
		close: () => void libc().close(fd),
	};
}

nftTest('IP in IP is accepted only from known nodes, and the set can change', async (t) => {
	enterNewNamespace();
	const receiver = ipInIpSocket('127.0.0.1');
	const [known, unknown] = [ipInIpSocket('127.0.0.5'), ipInIpSocket('127.0.0.6')];
	const sendBoth = () => {
		for (const socket of [known, unknown]) socket.send('127.0.0.1');
		return receiver.received();
	};
	t.deepEqual(sendBoth(), ['127.0.0.5', '127.0.0.6'], 'without a guard');
	await loadByNft(guardRules({ ipip: ['127.0.0.5'] }));
	t.deepEqual(sendBoth(), ['127.0.0.5']);
	t.regex(listed(), /counter packets 1 bytes 40 drop/);
	await loadByNft(guardRules({ ipip: ['127.0.0.6'] }));
	t.deepEqual(sendBoth(), ['127.0.0.6']);
	await loadByNft(guardRules({ ipip: [] }));
	t.deepEqual(sendBoth(), []);
	await loadByNft(noGuardRules);
	t.deepEqual(sendBoth(), ['127.0.0.5', '127.0.0.6']);
	for (const socket of [receiver, known, unknown]) socket.close();
});

nftTest('tables of other owners are not changed', async (t) => {
	enterNewNamespace();
	execFileSync('nft', ['-f', '-'], {
		env: systemEnvironment(),
		input: 'table inet theirs {\n\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n\t}\n}\n',
	});
	const before = listed();
	await loadByNft(guardRules({ ipip: ['10.0.2.2'] }));
	await loadByNft(natRules([{ cidr: prefixKey('192.168.0.0/16'), natOutgoing: true }]));
	t.true(listed().includes(before.trim()));
	await loadByNft(noGuardRules);
	await loadByNft(natRules([]));
	t.is(listed(), before);
});

nftTest('rules that nft refuses are an error with its message, and change nothing', async (t) => {
	enterNewNamespace();
	await loadByNft(guardRules({ ipip: ['10.0.2.2'] }));
	const before = listed();
	await t.throwsAsync(loadByNft(guardRules({ ipip: ['nonsense.invalid'] })), { message: /Error/ });
	t.is(listed(), before);
});

const natPool: NatPool = { cidr: prefixKey('192.168.0.0/17'), natOutgoing: true };
const plainPool: NatPool = { cidr: prefixKey('192.168.128.0/17'), natOutgoing: false };

for (const { title, source, destination, seen } of [
	{
		title: "a pod to the world: with the node's address",
		source: '192.168.1.10',
		destination: '10.0.9.9',
		seen: '10.0.1.2',
	},
	{
		title: 'a pod to a pod of the same pool: unchanged',
		source: '192.168.1.10',
		destination: '192.168.2.10',
		seen: '192.168.1.10',
	},
	{
		title: 'a pod to a pod of a pool without NAT: unchanged',
		source: '192.168.1.10',
		destination: '192.168.200.10',
		seen: '192.168.1.10',
	},
	{
		title: 'a pod of a pool without NAT to the world: unchanged',
		source: '192.168.200.1',
		destination: '10.0.9.9',
		seen: '192.168.200.1',
	},
	{ title: 'the node to the world: unchanged', source: '10.0.1.2', destination: '10.0.9.9', seen: '10.0.1.2' },
]) {
	nftTest(`natOutgoing: ${title}`, async (t) => {
		enterNewNamespace();
		addInterface('eth0', ['10.0.1.2/24']);
		for (const pod of ['192.168.1.10', '192.168.200.1']) ip(`addr add ${pod}/32 dev lo`);
		ip('route add default via 10.0.1.1');
		ip('neigh add 10.0.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent');
		await loadByNft(natRules([natPool, plainPool]));
		// ETH_P_ALL in network order: receives packets sent by eth0 at its other end.
		const wire = check('socket', libc().socket(17, raw, 0x0300));
		const socket = createSocket('udp4');
		socket.bind(0, source);
		await once(socket, 'listening');
		const port = 40000 + (process.pid % 20000);
		socket.send('x', port, destination);
		t.is(await sourceOnWire(wire, port), seen);
		socket.close();
		libc().close(wire);
	});
}

/** The source address of the first UDP packet to a port. */
async function sourceOnWire(fd: number, port: number): Promise<string> {
	const frame = Buffer.alloc(2048);
	for (;;) {
		const length = libc().recv(fd, frame, frame.length, 0);
		if (length < 0) await new Promise((resolve) => setTimeout(resolve, 5));
		else if (frame.readUInt16BE(12) === 0x0800 && frame[23] === 17 && frame.readUInt16BE(36) === port)
			return frame.subarray(26, 30).join('.');
	}
}

test('pools without NAT create no table', (t) => {
	t.is(
		natRules([plainPool]),
		'add table ip bgpmesh_nat\ndelete table ip bgpmesh_nat\nadd table ip6 bgpmesh_nat\ndelete table ip6 bgpmesh_nat\n',
	);
});

test('the text of the masquerade, both families', (t) => {
	const six: NatPool = { cidr: prefixKey('fd99::/48'), natOutgoing: true };
	t.is(
		natRules([natPool, plainPool, six]),
		`add table ip bgpmesh_nat
flush table ip bgpmesh_nat
add set ip bgpmesh_nat nat_pools { type ipv4_addr; flags interval; auto-merge; }
flush set ip bgpmesh_nat nat_pools
add element ip bgpmesh_nat nat_pools { 192.168.0.0/17 }
add set ip bgpmesh_nat all_pools { type ipv4_addr; flags interval; auto-merge; }
flush set ip bgpmesh_nat all_pools
add element ip bgpmesh_nat all_pools { 192.168.0.0/17, 192.168.128.0/17 }
add chain ip bgpmesh_nat postrouting { type nat hook postrouting priority srcnat; policy accept; }
add rule ip bgpmesh_nat postrouting ip saddr @nat_pools ip daddr != @all_pools counter masquerade fully-random
add table ip6 bgpmesh_nat
flush table ip6 bgpmesh_nat
add set ip6 bgpmesh_nat nat_pools { type ipv6_addr; flags interval; auto-merge; }
flush set ip6 bgpmesh_nat nat_pools
add element ip6 bgpmesh_nat nat_pools { fd99::/48 }
add set ip6 bgpmesh_nat all_pools { type ipv6_addr; flags interval; auto-merge; }
flush set ip6 bgpmesh_nat all_pools
add element ip6 bgpmesh_nat all_pools { fd99::/48 }
add chain ip6 bgpmesh_nat postrouting { type nat hook postrouting priority srcnat; policy accept; }
add rule ip6 bgpmesh_nat postrouting ip6 saddr @nat_pools ip6 daddr != @all_pools counter masquerade fully-random
`,
	);
});

const vxlan = { port: 4789, nodes: ['10.0.2.2', 'fd00::2'] };
const pods = { interfaces: 'cali*', pools: [prefixKey('192.168.0.0/17'), prefixKey('192.168.0.0/16')] };
const otherPods = { interfaces: 'tap*', pools: [prefixKey('10.8.0.0/16')] };

test('the rules and sets of the guard, both families', (t) => {
	const text = guardRules({
		ipip: ['10.0.2.2', '10.0.2.2', 'fd00::2'],
		vxlan,
		pods: { interfaces: 'cali*', pools: [prefixKey('192.168.0.0/16'), prefixKey('fd99::/48')] },
	});
	const lines = text.split('\n');
	const after = (start: string) => lines.flatMap((line) => (line.startsWith(start) ? [line.slice(start.length)] : []));
	const vxlanOfPods = 'udp dport 4789 counter drop comment "VXLAN from a pod"';
	const ipipOfPods = 'ip protocol 4 counter drop comment "IP in IP from a pod"';
	const untracked = ['prerouting udp dport 4789 notrack', 'output udp dport 4789 notrack'];
	const unknown = (word: string) =>
		`input udp dport 4789 fib daddr type local ${word} saddr != @vxlan_nodes counter drop comment ` +
		'"VXLAN from an unknown node"';
	t.deepEqual(after('add rule ip bgpmesh_guard '), [
		`input iifname "cali*" ${ipipOfPods}`,
		`input iifname "cali*" ${vxlanOfPods}`,
		'input ip protocol 4 ip saddr != @nodes counter drop comment "IP in IP from an unknown node"',
		unknown('ip'),
		`forward iifname "cali*" ${ipipOfPods}`,
		`forward iifname "cali*" ${vxlanOfPods}`,
		`forward ip saddr @pools ${ipipOfPods}`,
		`forward ip saddr @pools ${vxlanOfPods}`,
		...untracked,
	]);
	t.deepEqual(after('add rule ip6 bgpmesh_guard '), [
		`input iifname "cali*" ${vxlanOfPods}`,
		unknown('ip6'),
		`forward iifname "cali*" ${vxlanOfPods}`,
		`forward ip6 saddr @pools ${vxlanOfPods}`,
		...untracked,
	]);
	t.deepEqual(after('add element '), [
		'ip bgpmesh_guard nodes { 10.0.2.2 }',
		'ip bgpmesh_guard vxlan_nodes { 10.0.2.2 }',
		'ip bgpmesh_guard pools { 192.168.0.0/16 }',
		'ip6 bgpmesh_guard nodes { fd00::2 }',
		'ip6 bgpmesh_guard vxlan_nodes { fd00::2 }',
		'ip6 bgpmesh_guard pools { fd99::/48 }',
	]);
	const filter = (hook: string) => `${hook} { type filter hook ${hook} priority filter - 10; policy accept; }`;
	const tracking = (hook: string) => `${hook} { type filter hook ${hook} priority raw; policy accept; }`;
	for (const family of ['ip', 'ip6'])
		t.deepEqual(after(`add chain ${family} bgpmesh_guard `), [
			...['input', 'forward'].map(filter),
			...['prerouting', 'output'].map(tracking),
		]);
});

nftTest('from every form of the guard to every other the tables are those of a first load', async (t) => {
	const forms = [
		guardRules({ ipip: ['10.0.2.2'] }),
		guardRules({ ipip: [], vxlan: { ...vxlan, port: 4790 } }),
		guardRules({ ipip: ['10.0.2.3'], vxlan, pods }),
		guardRules({ ipip: ['10.0.2.2'], pods: otherPods }),
		noGuardRules,
	];
	for (const after of forms) {
		enterNewNamespace();
		await loadByNft(after);
		const expected = sorted(listed());
		for (const before of forms) {
			enterNewNamespace();
			await loadByNft(before);
			await loadByNft(after);
			t.deepEqual(sorted(listed()), expected);
		}
	}
});

/** The order of sets and chains is that of their creation. */
const sorted = (text: string) => text.split('\n').sort();
