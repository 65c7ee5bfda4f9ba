import test from 'ava';
import { type Logger, silentLogger, systemClock } from '../../../src/core/index.ts';
import { UnreadableError } from '../../../src/ipam/index.ts';
import { ApiClient, ApiError, ApiUnreachableError, coreKinds, Informer, type JsonObject, KubernetesIpamStore } from '../../../src/kubernetes/index.ts';

const layout = 'crd.projectcalico.org/v1';
const handle = (uid: string, deleted: boolean): JsonObject => ({
	apiVersion: layout,
	kind: 'IPAMHandle',
	metadata: { name: 'net.one', uid, resourceVersion: uid },
	spec: { handleID: 'net.one', block: { '10.0.0.0/26': 1 }, deleted },
});

/** A server that answers as told, and remembers which objects it was asked to delete. */
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
		if (this.#conflicts) throw new ApiError(409, 'Conflict', 'the UID in the precondition is not that of the object', undefined);
	}
}

function handles(client: ApiClient, log: Logger = silentLogger) {
	const dependencies = { client, log, clock: systemClock, random: Math.random };
	return new KubernetesIpamStore({ ...dependencies, layout, node: 'n', nodes: new Informer({ ...dependencies, kind: coreKinds.nodes }) }).handles;
}

test('what somebody marked as deleted is deleted, and is not there', async (t) => {
	const client = new ScriptedClient([handle('1', true)], false);
	t.is(await handles(client).read('net.one', 'fresh'), undefined);
	t.deepEqual(client.removed, ['1']);
});

test('a new one in the place of what was marked as deleted is found, not reported as a conflict', async (t) => {
	const client = new ScriptedClient([handle('1', true), handle('2', false)], true);
	t.is((await handles(client).read('net.one', 'fresh'))?.version, '2');
});

test('one that can not be read is named and left alone, and the others are there', async (t) => {
	const bad = { ...handle('2', true), metadata: { name: 'net.bad', uid: '2', resourceVersion: '2' }, spec: { handleID: 'net.bad', block: { nowhere: 1 } } };
	const client = new ScriptedClient([bad, bad, handle('3', false)], false);
	client.list = async () => ({ items: [bad, handle('1', false)], resourceVersion: '2' });
	const lines: string[] = [];
	const log = { ...silentLogger, error: (message: string, fields?: Readonly<Record<string, unknown>>) => void lines.push(`${message} ${fields?.['name']}`) };
	const store = handles(client, log);
	const { items, unreadable } = await store.list();
	t.deepEqual(
		items.map(({ name }) => name),
		['net.one'],
	);
	t.like(unreadable, [{ name: 'net.bad', cidrs: [] }]);
	for (let attempt = 0; attempt < 2; attempt++) await t.throwsAsync(store.read('net.bad', 'fresh'), { instanceOf: UnreadableError });
	t.like(store.unreadable, [{ name: 'net.bad' }]);
	t.is(lines.length, 1);
	t.deepEqual(client.removed, []);
	client.list = async () => ({ items: [handle('1', false)], resourceVersion: '3' });
	await store.list();
	t.deepEqual(store.unreadable, []);
});

const lost = new ApiUnreachableError('http://127.0.0.1:1', {});

/** A server that keeps one object, and loses answers as told: before the write is done, or after it. */
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
			if (versionOf(object) !== versionOf(this.object)) throw new ApiError(409, 'Conflict', 'the object has been modified');
			return object;
		});
	}

	override async remove(...[, , options]: Parameters<ApiClient['remove']>) {
		const loss = this.#losses.shift();
		this.writes++;
		if (loss === 'before') throw lost;
		if (this.object !== undefined && versionOf(this.object) !== options?.resourceVersion) throw new ApiError(409, 'Conflict', 'it was modified');
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

const versionOf = (object: JsonObject | undefined) => (object?.['metadata'] as JsonObject | undefined)?.['resourceVersion'];
const counts = (blocks: Readonly<Record<string, number>>) => ({ handleId: 'net.one', blocks, deleted: false, other: {} });

for (const when of ['before', 'after'] as const)
	test(`a write whose answer was lost ${when} it was done is done once, and known to be done`, async (t) => {
		const client = when === 'before' ? new LossyClient(when, 'never', when, 'never', when) : new LossyClient(when, when, when);
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

test('a write whose answer was lost, where somebody else wrote meanwhile, is a conflict', async (t) => {
	const client = new LossyClient('before', 'before');
	client.object = { spec: { block: { '10.0.0.0/26': 9 }, handleID: 'net.one' }, metadata: { name: 'net.one', uid: 'other', resourceVersion: '7' } };
	const store = handles(client);
	await t.throwsAsync(store.create('net.one', counts({ '10.0.0.0/26': 1 })), { name: 'ConflictError' });
	const seen = await store.read('net.one', 'fresh');
	if (seen === undefined) throw new RangeError('it is there');
	client.object = { ...client.object, spec: { block: {}, handleID: 'net.one' }, metadata: { name: 'net.one', uid: 'other', resourceVersion: '8' } };
	await t.throwsAsync(store.write('net.one', { ...seen, value: counts({}) }), { name: 'ConflictError' });
	t.is(client.writes, 2);
});

test('an API server that stays away is an error, not a conflict', async (t) => {
	const client = new LossyClient('before', 'before', 'before', 'before');
	await t.throwsAsync(handles(client).create('net.one', counts({})), { is: lost });
	t.is(client.writes, 3);
});
