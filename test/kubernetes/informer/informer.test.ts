import test from 'ava';
import { silentLogger } from '../../../src/core/index.ts';
import {
	ApiClient,
	ApiError,
	ApiUnreachableError,
	coreKinds,
	Informer,
	KubernetesIpamStore,
	type ListResult,
	NotListedError,
} from '../../../src/kubernetes/index.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { recordingLogger } from '../../fakes/log.ts';

/** A server whose lists are answered, or refused, when the test says so. */
class HeldClient extends ApiClient {
	answer: (result: ListResult) => void = () => {};
	refuse: (error: Error) => void = () => {};

	constructor() {
		super({ server: 'http://127.0.0.1:1', namespace: 'default', options: async () => ({}) }, Math.random);
	}

	override list(): Promise<ListResult> {
		return new Promise((resolve, reject) => {
			this.answer = resolve;
			this.refuse = reject;
		});
	}

	override async *watch(...[, { signal }]: Parameters<ApiClient['watch']>) {
		await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
	}
}

const away = new ApiUnreachableError('http://127.0.0.1:1', { cause: new Error('connect ECONNREFUSED') });
const turn = () => new Promise((resolve) => setImmediate(resolve));

function setUp() {
	const client = new HeldClient();
	const clock = new FakeClock();
	const informer = new Informer({ client, kind: coreKinds.nodes, log: silentLogger, clock, random: () => 0 });
	return { client, clock, informer };
}

const outcome = (wait: Promise<void>) =>
	wait.then(
		() => 'listed',
		(error: unknown) => error,
	);

test('whoever needs a list that is on its way waits for it', async (t) => {
	const { client, clock, informer } = setUp();
	informer.start();
	const wait = outcome(informer.listed(1000));
	clock.advance(999);
	client.answer({ items: [], resourceVersion: '1' });
	t.is(await wait, 'listed');
	t.is(clock.pendingCount, 0);
	t.is(await outcome(informer.listed(0)), 'listed');
	informer.stop();
});

test('nobody waits for a list longer than asked', async (t) => {
	const { clock, informer } = setUp();
	informer.start();
	const wait = outcome(informer.listed(1000));
	clock.advance(1000);
	const refusal = await wait;
	t.true(refusal instanceof NotListedError);
	t.is((refusal as Error).message, 'the API server has not said yet which Node there are');
	informer.stop();
});

test('who waits while the API server turns out to be away is told at once, and so is who comes then', async (t) => {
	const { client, clock, informer } = setUp();
	informer.start();
	const wait = outcome(informer.listed(1000));
	client.refuse(away);
	for (const refusal of [await wait, await outcome(informer.listed(1000))]) {
		t.true(refusal instanceof NotListedError);
		t.is((refusal as NotListedError).cause, away);
	}
	t.is(clock.pendingCount, 0);
	informer.stop();
});

test('a store that never heard from the API server refuses, whatever it is asked, and does not wait', async (t) => {
	const { client, clock, informer } = setUp();
	const dependencies = { client, log: silentLogger, clock, random: () => 0 };
	const store = new KubernetesIpamStore({ ...dependencies, layout: 'crd.projectcalico.org/v1', node: 'n', nodes: informer });
	client.list = () => Promise.reject(away);
	informer.start();
	store.start();
	await turn();
	const questions = {
		pools: () => store.pools(),
		reservations: () => store.reservations(),
		config: () => store.config(),
		claims: () => store.affinitiesOf('n'),
		nodeLabels: () => store.nodeLabels('n'),
		namespaceLabels: () => store.namespaceLabels('default'),
		readOnly: () => store.readOnlyReason(),
	};
	for (const [name, ask] of Object.entries(questions)) await t.throwsAsync(ask, { instanceOf: NotListedError }, name);
	t.is(clock.pendingCount, 0);
	store.stop();
	informer.stop();
});

const refusals = [
	{ title: 'a server that refuses is told as that', refusal: new ApiError(403, 'Forbidden', 'nodes is forbidden'), says: /rights to list and watch/ },
	{ title: 'a server that is away is told as away', refusal: away, says: /^API server away/ },
];
for (const { title, refusal, says } of refusals) {
	test(title, async (t) => {
		const client = new HeldClient();
		const log = recordingLogger();
		const informer = new Informer({ client, kind: coreKinds.nodes, log, clock: new FakeClock(), random: () => 0 });
		informer.start();
		client.refuse(refusal);
		await turn();
		t.deepEqual(
			log.lines.map(({ level, fields }) => [level, fields['kind']]),
			[['warn', 'Node']],
		);
		t.regex(log.lines[0]?.message ?? '', says);
		informer.stop();
	});
}
