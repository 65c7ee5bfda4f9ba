import test from 'ava';
import { type Logger, silentLogger, systemClock } from '../../../src/core/index.ts';
import { UnreadableError } from '../../../src/ipam/index.ts';
import type { JsonObject } from '../../../src/json/index.ts';
import {
	ApiClient,
	ApiError,
	ApiUnreachableError,
	coreKinds,
	Informer,
	KubernetesIpamStore,
} from '../../../src/kubernetes/index.ts';

const layout = 'crd.projectcalico.org/v1';
const handle = (uid: string, deleted: boolean): JsonObject => ({
	apiVersion: layout,
	kind: 'IPAMHandle',
	metadata: { name: 'net.one', uid, resourceVersion: uid },
	spec: { handleID: 'net.one', block: { '10.0.0.0/26': 1 }, deleted },
});

/** A server that responds as the test specifies, and records deleted objects. */
class ScriptedClient extends ApiClient {
	readonly #answers: JsonObject[];
	readonly removed: (string | undefined)[] = [];
	readonly #conflicts: boolean;

	constructor(answers: JsonObject[], conflicts: boolean) {
		super({ server: 'http://127.0.0.1:1', namespace: 'default', options: async () => ({}) }, Math.random);
		this.#answers = answers;
		this.#conflicts = conflicts;
	}

	override async get() {
		return this.#answers.shift();
	}

	override async remove(...[, , options]: Parameters<ApiClient['remove']>) {
		this.removed.push(options?.uid);
		if (this.#conflicts)
			throw new ApiError(409, 'Conflict', 'the UID in the precondition is not that of the object', undefined);
	}
}

function handles(client: ApiClient, log: Logger = silentLogger) {
	const dependencies = { client, log, clock: systemClock, random: Math.random };
	return new KubernetesIpamStore({
		...dependencies,
		layout,
		node: 'n',
		nodes: new Informer({ ...dependencies, kind: coreKinds.nodes }),
	}).handles;
}

test('an object marked as deleted is deleted, and reads as absent', async (t) => {
	const client = new ScriptedClient([handle('1', true)], false);
	t.is(await handles(client).read('net.one', 'fresh'), undefined);
	t.deepEqual(client.removed, ['1']);
});

test('a new object in place of one marked as deleted is found, and is not a conflict', async (t) => {
	const client = new ScriptedClient([handle('1', true), handle('2', false)], true);
	t.is((await handles(client).read('net.one', 'fresh'))?.version, '2');
});

test('an unreadable object is reported and left unchanged, and the others are returned', async (t) => {
	const bad = {
		...handle('2', true),
		metadata: { name: 'net.bad', uid: '2', resourceVersion: '2' },
		spec: { handleID: 'net.bad', block: { nowhere: 1 } },
	};
	const client = new ScriptedClient([bad, bad, handle('3', false)], false);
	client.list = async () => ({ items: [bad, handle('1', false)], resourceVersion: '2' });
	const lines: string[] = [];
	const log = {
		...silentLogger,
		error: (message: string, fields?: Readonly<Record<string, unknown>>) =>
			void lines.push(`${message} ${fields?.['name']}`),
	};
	const store = handles(client, log);
	const { items, unreadable } = await store.list();
	t.deepEqual(
		items.map(({ name }) => name),
		['net.one'],
	);
	t.like(unreadable, [{ name: 'net.bad', cidrs: [] }]);
	for (let attempt = 0; attempt < 2; attempt++)
		await t.throwsAsync(store.read('net.bad', 'fresh'), { instanceOf: UnreadableError });
	t.like(store.unreadable, [{ name: 'net.bad' }]);
	t.is(lines.length, 1);
	t.deepEqual(client.removed, []);
	client.list = async () => ({ items: [handle('1', false)], resourceVersion: '3' });
	await store.list();
	t.deepEqual(store.unreadable, []);
});

const lost = new ApiUnreachableError('http://127.0.0.1:1', {});

/**
 * A server with one object that loses responses as the test specifies: before the write is done, or
 * after it.
 */
class LossyClient extends ApiClient {
	readonly #losses: ('before' | 'after' | 'never')[];
	object: JsonObject | undefined;
	writes = 0;
	#version = 0;

	constructor(...losses: ('before' | 'after' | 'never')[]) {
		super({ server: 'http://127.0.0.1:1', namespace: 'default', options: async () => ({}) }, Math.random);
		this.#losses = losses;
	}

	override async get() {
		return this.object;
	}

	override async create(...[, object]: Parameters<ApiClient['create']>) {
		return this.#write(() => {
			if (this.object !== undefined) throw new ApiError(409, 'AlreadyExists', 'it exists');
			return object;
		});
	}

	override async replace(...[, object]: Parameters<ApiClient['replace']>) {
		return this.#write(() => {
			if (versionOf(object) !== versionOf(this.object))
				throw new ApiError(409, 'Conflict', 'the object has been modified');
			return object;
		});
	}

	override async remove(...[, , options]: Parameters<ApiClient['remove']>) {
		const loss = this.#losses.shift();
		this.writes++;
		if (loss === 'before') throw lost;
		if (this.object !== undefined && versionOf(this.object) !== options?.resourceVersion)
			throw new ApiError(409, 'Conflict', 'it was modified');
		this.object = undefined;
		if (loss === 'after') throw lost;
	}

	#write(change: () => JsonObject): JsonObject {
		const loss = this.#losses.shift();
		this.writes++;
		if (loss === 'before') throw lost;
		const object = change();
		this.object = { ...object, metadata: { name: 'net.one', uid: 'u', resourceVersion: String(++this.#version) } };
		if (loss === 'after') throw lost;
		return this.object;
	}
}

const versionOf = (object: JsonObject | undefined) =>
	(object?.['metadata'] as JsonObject | undefined)?.['resourceVersion'];
const counts = (blocks: Readonly<Record<string, number>>) => ({
	handleId: 'net.one',
	blocks,
	deleted: false,
	other: {},
});

for (const when of ['before', 'after'] as const)
	test(`a write whose response was lost ${when} it was done is done once, and succeeds`, async (t) => {
		const client =
			when === 'before' ? new LossyClient(when, 'never', when, 'never', when) : new LossyClient(when, when, when);
		const store = handles(client);
		const created = await store.create('net.one', counts({ '10.0.0.0/26': 1 }));
		t.is(created.version, '1');
		const written = await store.write('net.one', { ...created, value: counts({ '10.0.0.0/26': 2 }) });
		t.is(written.version, '2');
		t.like(client.object, { spec: { block: { '10.0.0.0/26': 2 } } });
		await store.remove('net.one', written);
		t.is(client.object, undefined);
		t.is(client.writes, when === 'before' ? 6 : 3);
	});

test('a write whose response was lost, with another write in the meantime, is a conflict', async (t) => {
	const client = new LossyClient('before', 'before');
	client.object = {
		spec: { block: { '10.0.0.0/26': 9 }, handleID: 'net.one' },
		metadata: { name: 'net.one', uid: 'other', resourceVersion: '7' },
	};
	const store = handles(client);
	await t.throwsAsync(store.create('net.one', counts({ '10.0.0.0/26': 1 })), { name: 'ConflictError' });
	const seen = await store.read('net.one', 'fresh');
	if (seen === undefined) throw new RangeError('it is there');
	client.object = {
		...client.object,
		spec: { block: {}, handleID: 'net.one' },
		metadata: { name: 'net.one', uid: 'other', resourceVersion: '8' },
	};
	await t.throwsAsync(store.write('net.one', { ...seen, value: counts({}) }), { name: 'ConflictError' });
	t.is(client.writes, 2);
});

test('an unreachable API server is an error, not a conflict', async (t) => {
	const client = new LossyClient('before', 'before', 'before', 'before');
	await t.throwsAsync(handles(client).create('net.one', counts({})), { is: lost });
	t.is(client.writes, 3);
});

/** A server with these pools. */
class PoolClient extends ApiClient {
	pools: readonly JsonObject[] = [];

	constructor() {
		super({ server: 'http://127.0.0.1:1', namespace: 'default', options: async () => ({}) }, Math.random);
	}

	override async list() {
		return { items: [...this.pools], resourceVersion: '1' };
	}
}

const pool = (uid: string, generation: number, blockSize: number, cidr = '10.0.0.0/16'): JsonObject => ({
	apiVersion: layout,
	kind: 'IPPool',
	metadata: { name: 'pods', uid, generation, resourceVersion: `${generation}0` },
	spec: { cidr, blockSize },
});

test('fresh pools come from the server, with a version that differs after each change and each creation', async (t) => {
	const client = new PoolClient();
	const dependencies = { client, log: silentLogger, clock: systemClock, random: Math.random };
	const nodes = new Informer({ ...dependencies, kind: coreKinds.nodes });
	const store = new KubernetesIpamStore({ ...dependencies, layout, node: 'n', nodes });
	const versions: (string | undefined)[] = [];
	for (const [uid, generation] of [
		['one', 1],
		['one', 2],
		['two', 1],
	] as const) {
		client.pools = [pool(uid, generation, 28), pool('bad', 1, 28, 'none')];
		const pools = await store.pools('fresh');
		t.deepEqual(
			pools.map(({ blockSize }) => blockSize),
			[28],
		);
		versions.push(...pools.map(({ version }) => version));
	}
	t.is(new Set(versions).size, 3);
});
