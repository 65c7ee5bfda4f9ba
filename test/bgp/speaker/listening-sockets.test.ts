import { connect } from 'node:net';
import test from 'ava';
import { ListeningSockets } from '../../../src/bgp/speaker/listening-sockets.ts';
import { silentLogger } from '../../../src/core/index.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress } from '../../support/loopback.ts';

test('simultaneous connections are accepted in time slices, with other work between them', async (t) => {
	const address = loopbackAddress();
	const order: string[] = [];
	const sockets = new ListeningSockets([{ address, port: 0 }], {
		log: silentLogger,
		onFault: undefined,
		accept: (socket) => {
			order.push('connection');
			setImmediate(() => order.push('turn'));
			// Longer than a slice.
			const until = performance.now() + 5;
			while (performance.now() < until);
			socket.destroy();
		},
	});
	t.teardown(() => sockets.close());
	await sockets.open();
	const [port = 0] = sockets.ports;
	const clients = Array.from({ length: 6 }, () => connect({ host: address, port }).on('error', () => {}));
	t.teardown(() => clients.forEach((client) => void client.destroy()));
	// All of them wait for the release.
	await Promise.all(clients.map((client) => new Promise((resolve) => client.once('connect', resolve))));
	await new Promise((resolve) => setTimeout(resolve, 20));
	sockets.release();
	await eventually('all were taken', () => order.length === 12);
	t.deepEqual(order, Array.from({ length: 6 }, () => ['connection', 'turn']).flat());
});
