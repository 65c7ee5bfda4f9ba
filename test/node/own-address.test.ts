import test from 'ava';
import type { JsonObject } from '../../src/json/index.ts';
import { ApiError, type NodeFacts, type Resource, toResource } from '../../src/kubernetes/index.ts';
import { type OwnAddressDependencies, writeOwnAddresses } from '../../src/node/own-address.ts';
import { FakeClock } from '../fakes/clock.ts';

const annotation = 'projectcalico.org/IPv4Address';
const nodeOf = (resourceVersion: string, address?: string): JsonObject => ({
	metadata: { name: 'a', resourceVersion, annotations: address === undefined ? {} : { [annotation]: address } },
});
const found = async ({ ipv4 }: NodeFacts): Promise<Record<string, string>> =>
	ipv4 === undefined ? { [annotation]: '10.0.0.1/24' } : {};

/**
 * A copy at version 1 without an address, and a server that has `actual`. The copy is refreshed
 * after the first refusal.
 */
function setUp(actual: JsonObject, refusal = new ApiError(409, 'Conflict', 'it is newer')) {
	const copies = new Map<string, Resource>([['a', toResource(nodeOf('1'))]]);
	const patches: JsonObject[] = [];
	const clock = new FakeClock();
	const options: OwnAddressDependencies = {
		node: 'a',
		nodes: {
			items: copies,
			absorb: (object) => {
				copies.set('a', toResource(object));
				return toResource(object);
			},
		},
		client: {
			async patch(_kind, _name, patch) {
				patches.push(patch);
				const sent = toResource({ metadata: { name: 'a', ...(patch['metadata'] as JsonObject) } });
				if (sent.resourceVersion === toResource(actual).resourceVersion)
					return nodeOf('9', sent.annotations[annotation]);
				copies.set('a', toResource(actual));
				throw refusal;
			},
		},
		clock,
		addresses: found,
	};
	return { options, copies, patches };
}
const versionOf = (patch: JsonObject | undefined) =>
	toResource({ metadata: { name: 'a', ...((patch?.['metadata'] ?? {}) as JsonObject) } }).resourceVersion;

test('a node without an address gets the detected address, on condition that the Node is unchanged', async (t) => {
	const { options, copies, patches } = setUp(nodeOf('1'));
	t.deepEqual(await writeOwnAddresses(options), { [annotation]: '10.0.0.1/24' });
	t.deepEqual(patches.map(versionOf), ['1']);
	t.is(copies.get('a')?.annotations[annotation], '10.0.0.1/24');
	t.deepEqual(await writeOwnAddresses(options), {}, 'and only once');
});

test('an address that another client wrote in the meantime stays', async (t) => {
	const { options, copies, patches } = setUp(nodeOf('2', '10.9.9.9/24'));
	t.deepEqual(await writeOwnAddresses(options), {});
	t.is(patches.length, 1);
	t.is(copies.get('a')?.annotations[annotation], '10.9.9.9/24');
});

test('after an unrelated concurrent change the address is still written', async (t) => {
	const { options, patches } = setUp(nodeOf('2'));
	t.deepEqual(await writeOwnAddresses(options), { [annotation]: '10.0.0.1/24' });
	t.deepEqual(patches.map(versionOf), ['1', '2']);
});

test('any other refusal is reported', async (t) => {
	const { options } = setUp(nodeOf('2'), new ApiError(403, 'Forbidden', 'may not patch'));
	await t.throwsAsync(writeOwnAddresses(options), { message: 'may not patch' });
});

test('a node that is not in the cluster gets no address', async (t) => {
	const { options, copies } = setUp(nodeOf('1'));
	copies.delete('a');
	t.deepEqual(await writeOwnAddresses(options), {});
});
