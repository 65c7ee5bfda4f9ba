import test, { type ExecutionContext } from 'ava';
import { peerOptions } from '../../../src/bgp/index.ts';
import { eventually } from '../../support/eventually.ts';
import { testPort } from '../../support/loopback.ts';
import { addInterface, enterNewNamespace, noNamespaces } from '../../support/namespace.ts';
import { type TestSpeaker, testSpeaker } from '../../support/speakers.ts';

const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;
if (noNamespaces === undefined) {
	enterNewNamespace();
	// Both links have the same addresses.
	for (const name of ['wire1', 'wire2']) addInterface(name, ['fe80::a/64', 'fe80::1/64']);
}

const routers = [
	{ device: 'wire1', asNumber: 65101, port: testPort + 1 },
	{ device: 'wire2', asNumber: 65102, port: testPort + 2 },
];
const stateOf = ({ speaker }: TestSpeaker, name: string) => speaker.peer(name)?.state;

/** A node with a session to fe80::1 on each of two links, and the two routers there. */
async function start(t: ExecutionContext, nodeIsPassive: boolean): Promise<TestSpeaker> {
	const node = testSpeaker(t, {
		address: '::',
		asNumber: 65001,
		peers: routers.map(({ device, asNumber, port }) =>
			peerOptions({
				name: device,
				address: 'fe80::1',
				localAddress: 'fe80::a',
				device,
				asNumber,
				port,
				passive: nodeIsPassive,
			}),
		),
	});
	const others = routers.map(({ device, asNumber, port }) =>
		testSpeaker(t, {
			address: '::',
			port,
			asNumber,
			peers: [
				peerOptions({
					address: 'fe80::a',
					localAddress: 'fe80::1',
					device,
					asNumber: 65001,
					port: testPort,
					passive: !nodeIsPassive,
				}),
			],
		}),
	);
	await Promise.all([node, ...others].map(({ speaker }) => speaker.start()));
	t.teardown(() => Promise.all(others.map(({ speaker }) => speaker.stop({ graceful: false, reason: 'done' }))));
	await eventually('both sessions are established', () =>
		routers.every(({ device }) => stateOf(node, device) === 'established'),
	);
	return node;
}

for (const nodeIsPassive of [false, true]) {
	namespaceTest(
		`two routers with one link-local address are two peers, distinguished by interface; the node ${nodeIsPassive ? 'accepts' : 'connects'}`,
		async (t) => {
			const node = await start(t, nodeIsPassive);
			t.deepEqual(
				node.rib.sessions.map(({ negotiated }) => `${negotiated.peerName} ${negotiated.interfaceName}`).sort(),
				['wire1 wire1', 'wire2 wire2'],
			);
			await node.speaker.stop({ graceful: false, reason: 'done' });
		},
	);
}

namespaceTest('a session ends at once when its interface goes down, and no other one does', async (t) => {
	const node = await start(t, false);
	t.deepEqual(node.speaker.interfaceLost('wire1'), ['wire1']);
	t.deepEqual([stateOf(node, 'wire1'), stateOf(node, 'wire2')], ['idle', 'established']);
	t.is(node.speaker.peer('wire1')?.lastError?.message, 'interface wire1 is down');
	await node.speaker.stop({ graceful: false, reason: 'done' });
});
