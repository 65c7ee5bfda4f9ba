import { connect, Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { ListenError, Listener, type ListenerNeighbour } from '../../../src/bgp/speaker/listener.ts';
import { silentLogger } from '../../../src/core/index.ts';
import { openTcpSocket, setTtl } from '../../../src/linux/index.ts';
import { eventually } from '../../support/eventually.ts';

const neighbour = (who: string, minimumTtl: number | undefined): ListenerNeighbour => ({
	who,
	md5Key: undefined,
	minimumTtl,
});

/** A listener, and the source addresses of connections to it. */
async function listening(t: ExecutionContext, expected: readonly ListenerNeighbour[] = []) {
	const ports = new Set<number | undefined>();
	const listener = new Listener({ address: '127.0.0.1', port: 0 }, silentLogger, (socket) => {
		ports.add(socket.remotePort);
		t.teardown(() => socket.destroy());
	});
	listener.expect(expected);
	await listener.open();
	t.teardown(() => listener.close());
	const target = { host: '127.0.0.1', port: listener.port };
	const opened = (socket: Socket) => {
		socket.on('error', () => {});
		t.teardown(() => socket.destroy());
		return { accepted: () => socket.localPort !== undefined && ports.has(socket.localPort) };
	};
	const dial = (ttl: number) => {
		const fd = openTcpSocket('ipv4');
		setTtl(fd, 'ipv4', ttl);
		return opened(new Socket({ fd, manualStart: true } as ConstructorParameters<typeof Socket>[0]).connect(target));
	};
	return { listener, ports, dial, plain: () => opened(connect(target)) };
}

test('[C227] a TTL minimum that all neighbours require applies from the SYN on', async (t) => {
	const { listener, ports, dial } = await listening(t);
	listener.expect([neighbour('127.0.0.1', 255), neighbour('127.0.0.2', 254), neighbour('2001:db8::1', undefined)]);
	const far = dial(253);
	const near = dial(254);
	await eventually('a SYN with enough is answered', near.accepted);
	t.is(ports.size, 1);
	t.false(far.accepted());
	listener.expect([neighbour('127.0.0.1', 253)]);
	await eventually('the SYN comes again, and is answered', far.accepted);
});

test('[C227] neighbours that are known before the socket listens have their TTL minimum from its first SYN on', async (t) => {
	const { listener, ports, dial } = await listening(t, [neighbour('127.0.0.1', 255)]);
	const [far, near] = [dial(254), dial(255)];
	await eventually('a SYN with enough is answered', near.accepted);
	t.is(ports.size, 1);
	t.false(far.accepted());
	t.true(listener.port > 0);
});

test('a port in use is an error of the same kind when the socket is bound for its options first', async (t) => {
	const { listener } = await listening(t);
	const again = new Listener({ address: '127.0.0.1', port: listener.port }, silentLogger, () => {});
	again.expect([neighbour('127.0.0.1', 255)]);
	const error = await t.throwsAsync(again.open(), { instanceOf: ListenError });
	t.is(error?.code, 'EADDRINUSE');
});

test('a neighbour without a TTL minimum is accepted beside one with it', async (t) => {
	const { listener, plain, dial } = await listening(t);
	listener.expect([neighbour('127.0.0.1', 255)]);
	listener.expect([neighbour('127.0.0.1', 255), neighbour('127.0.0.2', undefined)]);
	const [one, another] = [plain(), dial(1)];
	await eventually('both are accepted', () => one.accepted() && another.accepted());
	listener.expect([]);
	const last = plain();
	await eventually('without neighbours every connection is looked at', last.accepted);
	t.pass();
});
