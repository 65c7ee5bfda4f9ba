/** Cases of the kind `lifecycle`: the product's plane, real connections, restarts. */

import type { Cell } from '../../../lab/truth-table.ts';
import { arrayAt, type JsonObject } from '../../../src/json/index.ts';
import { behaviourCell, conditions, node, sliceOf } from './behaviour-objects.ts';
import type { BehaviourCase } from './cases.ts';
import { type Connection, connectFrom, PlaneNode, startServer } from './plane-node.ts';

const client = '10.9.0.1';
const ports = [{ name: 'p', port: 8080, protocol: 'TCP' }];

/** The cells of a case, by its first step and its second one. */
export async function lifecycle(item: BehaviourCase): Promise<readonly Cell[] | { readonly skip: string }> {
	const [first = '', second = ''] = arrayAt(item.input, 'steps').map(String);
	const server = await startServer('0.0.0.0', 8080);
	try {
		const type = /^set type (\w+)$/.exec(second)?.[1];
		if (first.startsWith('LoadBalancer') && type !== undefined) return await typeChange(item, type);
		if (first === 'connect' && second === 'endpoint terminating') return await terminating(item);
		if (first.startsWith('process listens')) return await listener(item);
		if (first === 'stop proxy') return await restart(item);
		return { skip: `step '${first}' has no meaning here` };
	} finally {
		server.close();
	}
}

const serviceOf = (name: string, clusterIP: string, spec: JsonObject = {}, status: JsonObject = {}): JsonObject => ({
	metadata: { name, namespace: 'ns1' },
	spec: { clusterIP, ports: [{ name: 'p', port: 80, protocol: 'TCP' }], ...spec },
	status,
});

const endpointsOf = (name: string, states: Readonly<Record<string, string>>): JsonObject =>
	sliceOf(
		Object.entries(states).map(([address, state]) => ({ addresses: [address], conditions: conditions[state] })),
		ports,
		{ name },
	);

/** Who answers a new connection, if anything does. */
async function answerOf(host: string, port: number): Promise<string | undefined> {
	const connection = await connectFrom(client, host, port);
	connection?.close();
	return connection?.answeredBy;
}

async function typeChange(item: BehaviourCase, type: string): Promise<Cell[]> {
	const typed = (name: string): JsonObject =>
		serviceOf(
			'svc1',
			'172.30.0.41',
			{ type: name, ports: [{ name: 'p', port: 80, protocol: 'TCP', nodePort: 30_001 }] },
			{ loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } },
		);
	const own = new PlaneNode();
	const probe = async () => {
		const answers = [await answerOf('1.2.3.4', 80), await answerOf(node.primary.ipv4, 30_001)];
		return answers.map((answer) => (answer === undefined ? 'not translated' : 'translated'));
	};
	try {
		own.plane.setService(typed('LoadBalancer'));
		own.plane.setSlice(endpointsOf('svc1', { '10.0.1.1': 'ready' }));
		await own.start();
		const before = await probe();
		own.plane.setService(typed(type));
		await own.settled();
		return [
			behaviourCell(item, 'before', ['translated', 'translated'], before),
			behaviourCell(item, `after 'set type ${type}'`, item.expect, await probe()),
		];
	} finally {
		await own.remove();
	}
}

/** The connection goes on; new ones go to the other endpoint. */
async function terminating(item: BehaviourCase): Promise<Cell[]> {
	const own = new PlaneNode();
	const opened: (Connection | undefined)[] = [];
	try {
		own.plane.setService(serviceOf('svc1', '172.30.0.41'));
		own.plane.setSlice(endpointsOf('svc1', { '10.0.1.1': 'ready' }));
		await own.start();
		const connection = await connectFrom(client, '172.30.0.41', 80);
		opened.push(connection);
		const first = await connection?.send('before');
		own.plane.setSlice(endpointsOf('svc1', { '10.0.1.1': 'terminating', '10.0.1.2': 'ready' }));
		await own.settled();
		const expected = { answeredBy: '10.0.1.1', before: true, after: true, others: ['10.0.1.2'] };
		const others = new Set<string | undefined>();
		for (let count = 0; count < 20; count++) others.add(await answerOf('172.30.0.41', 80));
		return [
			behaviourCell(item, 'send on the connection', expected, {
				answeredBy: connection?.answeredBy,
				before: first,
				after: await connection?.send('after'),
				others: [...others],
			}),
		];
	} finally {
		for (const connection of opened) connection?.close();
		await own.remove();
	}
}

/**
 * A process has the port before the Service: the Service is served, and the port can still be
 * bound.
 */
async function listener(item: BehaviourCase): Promise<Cell[]> {
	const own = new PlaneNode();
	const process = await startServer('0.0.0.0', 30_001, 'process');
	try {
		const before = await answerOf(node.primary.ipv4, 30_001);
		own.plane.setService(
			serviceOf('svc1', '172.30.0.41', {
				type: 'NodePort',
				ports: [{ name: 'p', port: 80, protocol: 'TCP', nodePort: 30_001 }],
			}),
		);
		own.plane.setSlice(endpointsOf('svc1', { '10.0.1.1': 'ready' }));
		await own.start();
		const after = await answerOf(node.primary.ipv4, 30_001);
		await new Promise<void>((resolve) => process.close(() => resolve()));
		const again = await startServer('0.0.0.0', 30_001, 'process').then(
			(server) => server.close() !== undefined,
			() => false,
		);
		return [
			behaviourCell(
				item,
				'node port',
				{ before: 'process', after: '10.0.1.1', canBind: true },
				{ before, after, canBind: again },
			),
		];
	} finally {
		process.close();
		await own.remove();
	}
}

/** While the proxy is down one Service goes and another one comes; a third is never interrupted. */
async function restart(item: BehaviourCase): Promise<Cell[]> {
	const [gone, stays, comes] = ['172.30.0.41', '172.30.0.42', '172.30.0.43'] as const;
	const before = new PlaneNode();
	before.plane.setService(serviceOf('gone', gone));
	before.plane.setSlice(endpointsOf('gone', { '10.0.1.1': 'ready' }));
	giveSteady(before.plane, stays);
	let isStopped = false;
	let after: PlaneNode | undefined;
	try {
		await before.start();
		const first = await answerOf(gone, 80);
		const connection = await connectFrom(client, stays, 80);
		await before.stop();
		isStopped = true;
		// The rules of the deleted Service still hold while the proxy is down.
		const meanwhile = [await answerOf(gone, 80), await answerOf(stays, 80)];
		let [made, failed, isRunning] = [0, 0, true];
		const load = Array.from({ length: 4 }, async () => {
			while (isRunning) {
				made++;
				if ((await answerOf(stays, 80)) === undefined) failed++;
			}
		});
		after = new PlaneNode();
		giveSteady(after.plane, stays);
		after.plane.setService(serviceOf('comes', comes));
		after.plane.setSlice(endpointsOf('comes', { '10.0.1.3': 'ready' }));
		await after.start();
		const others = [await answerOf(gone, 80), await answerOf(comes, 80)];
		isRunning = false;
		await Promise.all(load);
		const goesOn = await connection?.send('after');
		connection?.close();
		return [
			behaviourCell(
				item,
				'restart',
				{ first: '10.0.1.1', meanwhile: ['10.0.1.1', '10.0.1.2'], failed: 0, goesOn: true, others: [null, '10.0.1.3'] },
				{ first, meanwhile, failed: made < 10 ? 'too few connections' : failed, goesOn, others },
			),
		];
	} finally {
		if (!isStopped) await before.stop();
		await after?.remove();
	}
}

function giveSteady(plane: PlaneNode['plane'], clusterIp: string): void {
	plane.setService(serviceOf('stays', clusterIp));
	plane.setSlice(endpointsOf('stays', { '10.0.1.2': 'ready' }));
}
