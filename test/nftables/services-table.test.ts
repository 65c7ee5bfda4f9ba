import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { PreparedCase, ServicesCase } from '../../bench/tables/services/cases.ts';
import { NftablesTranslator, openNftables, ServiceFrames, ServiceNode } from '../../bench/tables/services/nftables.ts';
import { readCases, runCases } from '../../lab/truth-table.ts';
import type { Frontend, FrontendAction, ServicesModel } from '../../src/services/index.ts';
import { noNamespaces } from '../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: services by real frames: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

// The whole table takes a minute: `npm run services:table -- FILE... --backend nftables`.
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
// Behaviour over time: `test/bench/services-behaviour.test.ts`.
const given = readCases<ServicesCase>(join(root, 'test/services/data/cases.jsonl')).filter((item) => 'packets' in item);

/** The same services without any endpoint: connections to a cluster IP are rejected. */
const withoutEndpoints = given.flatMap((item): ServicesCase[] => {
	if (!('packets' in item)) return [];
	const packets = item.packets
		.filter(({ to, expect }) => to.startsWith('172.30.') && expect.verdict === 'dnat')
		.map((packet) => ({ ...packet, expect: { verdict: 'reject' as const } }));
	return packets.length === 0 ? [] : [{ ...item, id: `${item.id} without endpoints`, endpointSlices: [], packets }];
});
const cases = [...given, ...withoutEndpoints];

namespaceTest('real frames through our rules get every verdict of the cases in this repository', async (t) => {
	t.timeout(300_000);
	const backend = openNftables(`bms${process.pid}`);
	t.teardown(() => backend.close());
	const answer = await runCases('nftables', backend, cases);
	t.deepEqual(answer.wrong, []);
	t.true(answer.cells > 100);
});

/** Programs other services than its input. */
class Spoiled extends NftablesTranslator {
	readonly #spoil: (frontend: Frontend) => Frontend;

	constructor(namespace: string, spoil: (frontend: Frontend) => Frontend) {
		super(namespace);
		this.#spoil = spoil;
	}

	override async apply(prepared: PreparedCase): Promise<void> {
		const model: ServicesModel = {
			...prepared.model,
			frontends: new Map([...prepared.model.frontends].map(([key, frontend]) => [key, this.#spoil(frontend)])),
		};
		await super.apply({ ...prepared, model });
	}
}

const withActions = (frontend: Frontend, change: (action: FrontendAction) => FrontendAction): Frontend => {
	const { pod, node, outside } = frontend.actions;
	return { ...frontend, actions: { pod: change(pod), node: change(node), outside: change(outside) } };
};

const faults: readonly { readonly title: string; readonly spoil: (frontend: Frontend) => Frontend }[] = [
	{
		title: 'no connection is masqueraded',
		spoil: (frontend) =>
			withActions(frontend, (action) => (action.type === 'dnat' ? { ...action, masquerade: false } : action)),
	},
	{
		title: 'no response instead of a rejection',
		spoil: (frontend) => withActions(frontend, (action) => (action.type === 'reject' ? { type: 'drop' } : action)),
	},
	{
		title: 'pods are treated like others',
		spoil: (frontend) => ({ ...frontend, actions: { ...frontend.actions, pod: frontend.actions.outside } }),
	},
];

for (const { title, spoil } of faults) {
	namespaceTest(`the frames detect an inserted fault: ${title}`, async (t) => {
		t.timeout(300_000);
		const node = new ServiceNode(`bms${process.pid}`);
		const backend = new ServiceFrames(node, new Spoiled(node.namespace, spoil));
		t.teardown(() => backend.close());
		const answer = await runCases('nftables', backend, cases);
		t.true(answer.wrong.length > 0);
	});
}
