import test from 'ava';
import { type Clock, silentLogger } from '../../src/core/index.ts';
import type { EchoSocket } from '../../src/linux/index.ts';
import {
	checksum,
	decodeEchoReply,
	encodeEchoRequest,
	leastEchoBytes,
	type ProbeTarget,
	TunnelProbe,
} from '../../src/tunnel-probe/index.ts';

const target: ProbeTarget = {
	node: 'node-c',
	family: 'ipv4',
	tunnelAddress: '192.168.3.1',
	nodeAddress: '10.0.2.2',
	device: 'tunl0',
	mtuBytes: 1480,
};

/** Time passes at once. */
function instantClock(): Clock {
	let nowMs = 0;
	return {
		monotonicMs: () => nowMs,
		wallMs: () => nowMs,
		after(delayMs, callback) {
			setImmediate(() => {
				nowMs += delayMs;
				callback();
			});
			return { cancel() {} };
		},
	};
}

/** The reply of a path: IP headers and ICMP, as `openEchoSocket` receives it. */
function replyTo(message: Uint8Array): Uint8Array {
	const reply = message.slice();
	reply[0] = 0;
	return reply;
}

interface Path {
	/** The largest packet that arrives; 0: none. */
	passesBytes: number;
	/** Replies with another identifier instead. */
	foreign?: boolean;
}

function probeOver(paths: Readonly<Record<string, Path>>, targets: readonly ProbeTarget[]) {
	const sizes: number[] = [];
	let open = 0;
	const openSocket = (): EchoSocket => {
		const waiting: Uint8Array[] = [];
		open++;
		return {
			send(address, message) {
				const packetBytes = message.length + 20;
				sizes.push(packetBytes);
				const path = paths[address];
				if (path === undefined || packetBytes > path.passesBytes) return true;
				const reply = replyTo(message);
				if (path.foreign === true) reply[5] = (reply[5] ?? 0) ^ 1;
				waiting.push(reply);
				return true;
			},
			receive: () => waiting.splice(0),
			close() {
				open--;
			},
		};
	};
	const present = [...targets];
	const probe = new TunnelProbe({
		intervalSeconds: () => 60,
		targets: async () => present,
		open: openSocket,
		clock: instantClock(),
		log: silentLogger,
	});
	return { probe, sizes, present, open: () => open };
}

test('a path that carries packets of full size costs one packet and is no finding', async (t) => {
	const { probe, sizes, open } = probeOver({ '192.168.3.1': { passesBytes: 1480 } }, [target]);
	await probe.round();
	t.deepEqual(probe.holes, []);
	t.deepEqual(sizes, [1480]);
	t.is(open(), 0);
});

for (const passesBytes of [84, 100, 1280, 1384, 1478]) {
	test(`a path that passes ${passesBytes} bytes is named with that size`, async (t) => {
		const { probe } = probeOver({ '192.168.3.1': { passesBytes } }, [target]);
		await probe.round();
		t.deepEqual(probe.holes, [{ ...target, passesBytes }]);
	});
}

test('a node that answers nothing is no finding', async (t) => {
	const { probe, sizes } = probeOver({ '192.168.3.1': { passesBytes: 0 } }, [target]);
	await probe.round();
	t.deepEqual(probe.holes, []);
	t.deepEqual(sizes, [1480, 1480, 1480, 84, 84, 84]);
});

test('replies to another program do not count', async (t) => {
	const { probe } = probeOver({ '192.168.3.1': { passesBytes: 1480, foreign: true } }, [target]);
	await probe.round();
	t.deepEqual(probe.holes, []);
});

test('a finding ends after the repair, and when the node leaves', async (t) => {
	const paths = { '192.168.3.1': { passesBytes: 1384 }, '192.168.4.1': { passesBytes: 1384 } };
	const other = { ...target, node: 'node-d', tunnelAddress: '192.168.4.1', nodeAddress: '10.0.2.3' };
	const { probe, present } = probeOver(paths, [target, other]);
	await probe.round();
	t.deepEqual(probe.holes.map(({ node }) => node).sort(), ['node-c', 'node-d']);
	paths['192.168.3.1'].passesBytes = 1480;
	present.pop();
	await probe.round();
	t.deepEqual(probe.holes, []);
});

test('a second search begins with the result of the first', async (t) => {
	const { probe, sizes } = probeOver({ '192.168.3.1': { passesBytes: 1384 } }, [target]);
	await probe.round();
	const first = sizes.length;
	await probe.round();
	t.true(sizes.length - first < 12, `${sizes.length - first} packets`);
	t.deepEqual(probe.holes, [{ ...target, passesBytes: 1384 }]);
});

test('an echo request has the type, the identifier, the sequence and a correct checksum', (t) => {
	const message = encodeEchoRequest('ipv4', 84, { identifier: 0x1234, sequence: 0x5678 });
	t.is(message.length, 64);
	t.is(Buffer.from(message.subarray(0, 2)).toString('hex'), '0800');
	t.is(Buffer.from(message.subarray(4, 8)).toString('hex'), '12345678');
	t.is(checksum(message), 0);
	t.is(encodeEchoRequest('ipv6', 1450, { identifier: 1, sequence: 1 }).length, 1410);
	t.is(leastEchoBytes('ipv6'), 48);
});

test('only echo replies are decoded', (t) => {
	t.deepEqual(decodeEchoReply('ipv4', Uint8Array.from([0, 0, 0, 0, 0x12, 0x34, 0, 7])), {
		identifier: 0x1234,
		sequence: 7,
	});
	t.deepEqual(decodeEchoReply('ipv6', Uint8Array.from([129, 0, 0, 0, 0, 1, 0, 7])), { identifier: 1, sequence: 7 });
	for (const bytes of [[], [0, 0, 0], [8, 0, 0, 0, 0, 1, 0, 7], [0, 1, 0, 0, 0, 1, 0, 7]])
		t.is(decodeEchoReply('ipv4', Uint8Array.from(bytes)), undefined);
});
