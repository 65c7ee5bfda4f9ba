import test from 'ava';
import { coreKinds, type Informer } from '../../src/kubernetes/index.ts';
import { kindRefusals, listedOrDoneWithout } from '../../src/node/refusals.ts';

type Copy = Pick<Informer, 'subject' | 'refusal'>;
const namespaces = (synced: boolean, ...names: string[]) => ({
	synced,
	items: new Map(names.map((name) => [name, undefined as never])),
});
const pods: Copy = { subject: { kind: coreKinds.pods, without: 'this and that' }, refusal: 'pods is forbidden' };
const nodes: Copy = { subject: { kind: coreKinds.nodes }, refusal: 'nodes is forbidden' };
const secrets: Copy = {
	subject: { kind: coreKinds.secrets, namespace: 'calico-system' },
	refusal: 'secrets is forbidden',
};

test('a refused kind is reported once, with the missing permission', (t) => {
	t.deepEqual(kindRefusals([pods, nodes, nodes, { ...secrets, refusal: undefined }], namespaces(true)), [
		{ kind: 'Pod', reason: 'pods is forbidden', without: 'this and that' },
		{ kind: 'Node', reason: 'nodes is forbidden' },
	]);
});

test('a namespace that does not exist is not reported as a missing permission', (t) => {
	const told = { kind: 'Secret', namespace: 'calico-system', reason: 'secrets is forbidden' };
	t.deepEqual(kindRefusals([secrets], namespaces(true, 'default')), []);
	t.deepEqual(kindRefusals([secrets], namespaces(true, 'calico-system')), [told]);
	t.deepEqual(kindRefusals([secrets], namespaces(false)), [told]);
});

for (const [title, without, waits] of [
	['that is required is waited for until it is listed', undefined, true],
	['that is optional is waited for until the server has responded', 'this and that', false],
] as const)
	test(`a kind ${title}`, async (t) => {
		const copy = {
			subject: { kind: coreKinds.pods, ...(without === undefined ? {} : { without }) },
			onSynced() {},
			onAnswered: (listener: () => void) => listener(),
		};
		const late = new Promise((resolve) => setImmediate(resolve, 'waits'));
		t.is(await Promise.race([listedOrDoneWithout(copy).then(() => 'goes on'), late]), waits ? 'waits' : 'goes on');
	});
