import { once } from 'node:events';
import { connect, createServer, Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';

import type { Family } from '../../src/core/index.ts';
import {
	check,
	closeTcpSocket,
	descriptorOf,
	libc,
	openTcpSocket,
	setMd5Key,
	setMinimumTtl,
	setTrafficClass,
	setTtl,
} from '../../src/linux/index.ts';
import { loopbackAddress } from '../support/loopback.ts';
import { md5Test } from '../support/md5.ts';

/** An option as the kernel reports it. */
function integerOption(fd: number, level: number, name: number): number {
	const value = new Int32Array(1);
	check(
		'getsockopt',
		libc().getsockopt(fd, level, name, new Uint8Array(value.buffer), new Uint8Array(Uint32Array.of(4).buffer)),
	);
	return value[0] ?? -1;
}

function openSocket(t: ExecutionContext, family: Family): number {
	const fd = openTcpSocket(family);
	t.teardown(() => closeTcpSocket(fd));
	return fd;
}

test('[C227] TTL, minimum TTL and traffic class of an IPv4 socket equal the requested ones', (t) => {
	const fd = openSocket(t, 'ipv4');
	setTtl(fd, 'ipv4', 255);
	setMinimumTtl(fd, 'ipv4', 254);
	setTrafficClass(fd, 'ipv4', 0xc0);
	t.deepEqual(
		[2, 21, 1].map((name) => integerOption(fd, 0, name)),
		[255, 254, 0xc0],
	);
});

test('[C227] hop limits and traffic class of an IPv6 socket apply to both families', (t) => {
	const fd = openSocket(t, 'ipv6');
	setTtl(fd, 'ipv6', 255);
	setMinimumTtl(fd, 'ipv6', 254);
	setTrafficClass(fd, 'ipv6', 0xc0);
	t.deepEqual(
		[16, 73, 67].map((name) => integerOption(fd, 41, name)),
		[255, 254, 0xc0],
	);
	t.deepEqual(
		[2, 21, 1].map((name) => integerOption(fd, 0, name)),
		[255, 254, 0xc0],
	);
});

test('a key of 81 bytes is refused', (t) => {
	const fd = openSocket(t, 'ipv4');
	t.throws(() => setMd5Key(fd, 'ipv4', { bytes: Uint8Array.of(127, 0, 0, 1) }, new Uint8Array(81)), {
		instanceOf: RangeError,
	});
});

md5Test('removing a missing key fails with ENOENT', (t) => {
	const fd = openSocket(t, 'ipv4');
	t.throws(() => setMd5Key(fd, 'ipv4', { bytes: Uint8Array.of(127, 0, 0, 1) }, new Uint8Array(0)), {
		message: /ENOENT/,
	});
});

const key = new TextEncoder().encode('secret');

for (const { title, listenAt, prefix } of [
	{ title: 'for one neighbour', listenAt: 'own', prefix: undefined },
	{ title: 'for a prefix of neighbours', listenAt: 'own', prefix: 24 },
	{ title: 'for one neighbour, at a listener for both families', listenAt: '::', prefix: undefined },
	{ title: 'for a prefix, at a listener for both families', listenAt: '::', prefix: 24 },
] as const) {
	md5Test(`[C229] a key ${title} admits connections with that key`, async (t) => {
		const [own, theirs] = [loopbackAddress(), loopbackAddress()];
		const server = createServer((socket) => socket.end('hello'));
		t.teardown(() => server.close());
		server.listen(0, listenAt === 'own' ? own : '::');
		await once(server, 'listening');
		const address = server.address();
		const port = address !== null && typeof address === 'object' ? address.port : 0;
		const bytes = Uint8Array.from(theirs.split('.').map(Number));
		const network = bytes.map((octet, index) => (prefix !== undefined && index === 3 ? 0 : octet));
		setMd5Key(
			descriptorOf(server) ?? -1,
			listenAt === 'own' ? 'ipv4' : 'ipv6',
			prefix === undefined ? { bytes } : { bytes: network, length: prefix },
			key,
		);

		const fd = openTcpSocket('ipv4');
		setMd5Key(fd, 'ipv4', { bytes: Uint8Array.from(own.split('.').map(Number)) }, key);
		const socket = new Socket({ fd, manualStart: true } as ConstructorParameters<typeof Socket>[0]).connect({
			host: own,
			port,
			localAddress: theirs,
		});
		const [greeting] = (await once(socket, 'data')) as [Uint8Array];
		t.is(Buffer.from(greeting).toString(), 'hello');
		socket.destroy();

		// Without the key the SYN gets no reply; a neighbour without a key set for it is not
		// affected.
		const stranger = connect({ host: own, port, localAddress: prefix === undefined ? loopbackAddress() : '127.0.0.1' });
		await once(stranger, 'data');
		stranger.destroy();
		const keyless = connect({ host: own, port, localAddress: theirs });
		keyless.on('error', () => {});
		await new Promise((resolve) => setTimeout(resolve, 50));
		t.true(keyless.connecting);
		keyless.destroy();
	});
}
