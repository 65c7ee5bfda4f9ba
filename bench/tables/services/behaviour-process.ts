/**
 * Judges cases of `services-behaviour.jsonl` by the product's plane and real packets. Runs in a
 * network namespace of its own; cases come as messages, one at a time.
 */
import { execFileSync } from 'node:child_process';
import { get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Cell } from '../../../lab/truth-table.ts';
import { arrayAt, at, isObject, type JsonObject, objectAt, textAt } from '../../../src/json/index.ts';
import { Conntrack, systemEnvironment } from '../../../src/linux/index.ts';
import { servicesTable } from '../../../src/nftables/index.ts';
import {
	behaviourCell,
	conditions,
	conntrackObjects,
	healthObjects,
	node,
	service,
	sliceOf,
} from './behaviour-objects.ts';
import type { BehaviourCase } from './cases.ts';
import { lifecycle } from './lifecycle.ts';
import { connectFrom, PlaneNode, setUpNetwork, startServer } from './plane-node.ts';

type Judged = readonly Cell[] | { readonly skip: string };

/** Sources of flows, one for each entry of a case. */
const flowPort = (id: number): number => 40_000 + id;
/**
 * Clients of one name: that all of them draw the same backend by chance is less likely than 1 in 10
 * million.
 */
const clientsPerName = 16;

async function judge(item: BehaviourCase): Promise<Judged> {
	switch (item.kind) {
		case 'health':
			return [await health(item)];
		case 'conntrack':
			return [await conntrack(item)];
		case 'affinity':
			return affinity(item);
		case 'lifecycle':
			return lifecycle(item);
		default:
			return item.kind satisfies never;
	}
}

async function health(item: BehaviourCase): Promise<Cell> {
	const objects = healthObjects(item);
	const own = new PlaneNode({ isHealthy: item.input['proxyHealthy'] !== false });
	try {
		own.plane.setService(objects.service);
		for (const slice of objects.slices) own.plane.setSlice(slice);
		await own.start();
		if (item.input['then'] === 'delete') {
			own.plane.removeService(service);
			await own.settled();
		}
		const answer = await ask(Number(at(item.input, 'healthCheckNodePort')));
		if (answer === undefined) return behaviourCell(item, 'health', item.expect, { listens: false });
		const names = Object.keys(objectAt(item.expect, 'header'));
		return behaviourCell(item, 'health', item.expect, {
			listens: true,
			status: answer.status,
			localEndpoints: answer.body['localEndpoints'],
			...(names.length === 0
				? {}
				: { header: Object.fromEntries(names.map((name) => [name, answer.headers[name.toLowerCase()]])) }),
		});
	} finally {
		await own.remove();
	}
}

interface HealthResponse {
	readonly status: number | undefined;
	readonly headers: Readonly<Record<string, unknown>>;
	readonly body: JsonObject;
}

/** `undefined`: nothing listens. */
function ask(port: number): Promise<HealthResponse | undefined> {
	return new Promise((resolve) => {
		const request = get({ host: node.primary.ipv4, port, agent: false }, (response) => {
			let text = '';
			response.setEncoding('utf8').on('data', (part: string) => {
				text += part;
			});
			response.once('end', () =>
				resolve({ status: response.statusCode, headers: response.headers, body: JSON.parse(text) as JsonObject }),
			);
		});
		request.once('error', () => resolve(undefined));
	});
}

/** The entries stand before the rules are written, as at a restart of the proxy. */
async function conntrack(item: BehaviourCase): Promise<Cell> {
	const entries = arrayAt(item.input, 'entries').filter(isObject);
	const ids = entries.map(({ id }) => Number(id));
	for (const entry of entries) insertFlow(entry);
	const present = await flowsPresent(ids);
	if (present.length !== ids.length) throw new Error(`${item.id}: ${ids.length} flows made, ${present.length} found`);
	const objects = conntrackObjects(item);
	const own = new PlaneNode();
	try {
		own.plane.setService(objects.service);
		for (const slice of objects.slices) own.plane.setSlice(slice);
		await own.start();
		const left = await flowsPresent(ids);
		const deleted = ids.filter((id) => !left.includes(id));
		return behaviourCell(item, 'deleted', item.expect['deleted'], deleted);
	} finally {
		await own.remove();
		run('conntrack', ['-F']);
	}
}

/** What an entry of a protocol needs besides addresses and ports. */
const moreOf: Readonly<Record<string, readonly string[]>> = {
	tcp: ['--state', 'ESTABLISHED'],
	sctp: ['--state', 'ESTABLISHED', '--orig-vtag', '1', '--reply-vtag', '2'],
};

function insertFlow(entry: JsonObject): void {
	const protocol = (textAt(entry, 'protocol') ?? '').toLowerCase();
	const [client, port] = ['10.9.0.1', String(flowPort(Number(entry['id'])))];
	run('conntrack', [
		...['-I', '-p', protocol, '-t', '120', ...(moreOf[protocol] ?? [])],
		...['-s', client, '-d', textAt(entry, 'orig', 'dst') ?? ''],
		...['--orig-port-src', port, '--orig-port-dst', String(at(entry, 'orig', 'dport'))],
		...['-r', textAt(entry, 'reply', 'src') ?? '', '-q', client],
		...['--reply-port-src', String(at(entry, 'reply', 'sport')), '--reply-port-dst', port],
	]);
}

async function flowsPresent(ids: readonly number[]): Promise<number[]> {
	const table = new Conntrack();
	try {
		const ports = new Set((await table.list('ipv4')).map(({ original }) => original.sourcePort));
		return ids.filter((id) => ports.has(flowPort(id)));
	} finally {
		table.close();
	}
}

/**
 * Steps: `connect [xN] [from CLIENT] [port PORT]`, `wait SECONDS`, `remove BACKEND`; by many
 * clients at once.
 */
async function affinity(item: BehaviourCase): Promise<Judged> {
	const { timeoutSeconds } = item.input;
	const names = arrayAt(item.input, 'endpoints').map(String);
	const addressOf = (name: string): string => `10.0.1.${names.indexOf(name) + 1}`;
	const ports = [80, 443].map((port) => ({ name: `p${port}`, port, protocol: 'TCP' }));
	const slices = (present: readonly string[]) =>
		sliceOf(
			present.map((name) => ({ addresses: [addressOf(name)], conditions: conditions['ready'] })),
			ports.map(({ name }) => ({ name, port: 8080, protocol: 'TCP' })),
		);
	const server = await startServer('0.0.0.0', 8080);
	const own = new PlaneNode();
	try {
		own.plane.setService({
			metadata: { name: 'svc1', namespace: 'ns1' },
			spec: {
				clusterIP: '172.30.0.41',
				sessionAffinity: 'ClientIP',
				sessionAffinityConfig: typeof timeoutSeconds === 'number' ? { clientIP: { timeoutSeconds } } : {},
				ports,
			},
		});
		own.plane.setSlice(slices(names));
		await own.start();
		if (item.expect['timeoutSeconds'] !== undefined)
			return [behaviourCell(item, 'timeoutSeconds', item.expect['timeoutSeconds'], affinityInKernel())];
		const seen = Array.from({ length: clientsPerName }, () => new Set<string>());
		const clientNames: string[] = [];
		let present = names;
		for (const step of arrayAt(item.input, 'clientSteps').map(String)) {
			const wait = /^wait (\d+)/.exec(step);
			const leave = /^(?:remove|endpoint) (\w+)/.exec(step);
			const connect = /^connect(?: x(\d+))?(?: from (\w+))?(?: port (\d+))?/.exec(step);
			if (wait !== null) await pause(Number(wait[1]) * 1000);
			else if (connect !== null) {
				const name = connect[2] ?? 'c';
				if (!clientNames.includes(name)) clientNames.push(name);
				await Promise.all(
					seen.map(async (answers, number) => {
						const client = `10.9.${clientNames.indexOf(name)}.${number + 1}`;
						for (let count = 0; count < Number(connect[1] ?? 1); count++) {
							const connection = await connectFrom(client, '172.30.0.41', Number(connect[3] ?? 80));
							answers.add(connection?.answeredBy ?? 'none');
							connection?.close();
						}
					}),
				);
			} else if (leave !== null) {
				present = present.filter((name) => name !== leave[1]);
				own.plane.setSlice(slices(present));
				await own.settled();
			} else return { skip: `step '${step}' has no meaning here` };
		}
		if (seen.some((answers) => answers.has('none'))) throw new Error(`${item.id}: a connection failed`);
		const isSame = seen.every(({ size }) => size === 1);
		return [behaviourCell(item, 'same backend', item.expect['sameBackend'] === true, isSame)];
	} finally {
		await own.remove();
		server.close();
	}
}

/** The time-out of clients in our rules, in seconds. */
function affinityInKernel(): number | undefined {
	const rules = run('nft', ['list', 'table', 'inet', servicesTable]);
	const [, text] = /update @stick\S+ \{[^}]* timeout (\w+)/.exec(rules) ?? [];
	if (text === undefined) return undefined;
	const units: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, s: 1 };
	return [...text.matchAll(/(\d+)([dhms])/g)].reduce(
		(sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0),
		0,
	);
}

const run = (command: string, args: readonly string[]): string =>
	execFileSync(command, args, { env: systemEnvironment(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

setUpNetwork();
process.on('message', (item: BehaviourCase) => {
	judge(item).then(
		(judged) => process.send?.({ judged }),
		(error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
	);
});
process.once('disconnect', () => process.exit(0));
process.send?.({ isReady: true });
