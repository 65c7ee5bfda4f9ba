import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import test from 'ava';

import { type ConnectionSurroundings, lingerAndClose } from '../../../src/bgp/session/connection.ts';
import { ReadTurns } from '../../../src/bgp/session/read-turns.ts';
import { TimerWheel } from '../../../src/bgp/session/timer-wheel.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress } from '../../support/loopback.ts';

test('a socket counts as open while it finishes, and not when it is closed already', async (t) => {
	const address = loopbackAddress();
	const server = createServer({ allowHalfOpen: true }).listen(0, address);
	t.teardown(() => server.close());
	await once(server, 'listening');
	const listening = server.address();
	const client = connect({ host: address, port: listening !== null && typeof listening === 'object' ? listening.port : 0 });
	const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
	const clock = new FakeClock();
	const surroundings: ConnectionSurroundings = { wheel: new TimerWheel(clock), turns: new ReadTurns(), open: new Set() };
	client.pause();
	client.on('error', () => {});
	lingerAndClose(socket, surroundings);
	t.is(surroundings.open.size, 1);
	// The other side never closes: patience has an end.
	clock.advance(2000);
	await eventually('it is closed', () => socket.closed && surroundings.open.size === 0);
	lingerAndClose(socket, surroundings);
	t.is(surroundings.open.size, 0);
	client.destroy();
});
