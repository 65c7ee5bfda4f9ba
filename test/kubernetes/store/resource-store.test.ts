import test from 'ava';
import { silentLogger, systemClock } from '../../../src/core/index.ts';
import { ApiClient, ApiError, coreKinds, Informer, type JsonObject, KubernetesIpamStore } from '../../../src/kubernetes/index.ts';

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

function handles(client: ApiClient) {
	const dependencies = { client, log: silentLogger, clock: systemClock, random: Math.random };
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
