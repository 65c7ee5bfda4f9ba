import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import test from 'ava';

import { type ConnectionDependencies, lingerAndClose } from '../../../src/bgp/session/connection.ts';
import { ReadTurns } from '../../../src/bgp/session/read-turns.ts';
import { TimerWheel } from '../../../src/bgp/session/timer-wheel.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress } from '../../support/loopback.ts';

test('a socket counts as open while it finishes, and not when it is already closed', async (t) => {
	const address = loopbackAddress();
	const server = createServer({ allowHalfOpen: true }).listen(0, address);
	t.teardown(() => server.close());
	await once(server, 'listening');
	const listening = server.address();
	const client = connect({
		host: address,
		port: listening !== null && typeof listening === 'object' ? listening.port : 0,
	});
	const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
	const clock = new FakeClock();
	const dependencies: ConnectionDependencies = {
		wheel: new TimerWheel(clock),
		turns: new ReadTurns(),
		open: new Set(),
	};
	client.pause();
	client.on('error', () => {});
	lingerAndClose(socket, dependencies);
	t.is(dependencies.open.size, 1);
	// The other side never closes: the wait is limited.
	clock.advance(2000);
	await eventually('it is closed', () => socket.closed && dependencies.open.size === 0);
	lingerAndClose(socket, dependencies);
	t.is(dependencies.open.size, 0);
	client.destroy();
});
