import test from 'ava';
import { silentLogger } from '../../../src/core/index.ts';
import {
	ApiClient,
	ApiError,
	ApiUnreachableError,
	coreKinds,
	Informer,
	type InformerOptions,
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

	readonly ages: (string | undefined)[] = [];
	/** The open watch ends with this. */
	expire: (error: Error) => void = () => {};

	override list(...[, options]: Parameters<ApiClient['list']>): Promise<ListResult> {
		this.ages.push(options?.age);
		return new Promise((resolve, reject) => {
			this.answer = resolve;
			this.refuse = reject;
		});
	}

	override async *watch(...[, { signal }]: Parameters<ApiClient['watch']>) {
		await new Promise((_, reject) => {
			this.expire = reject;
			signal.addEventListener('abort', () => reject(new Error('ended')));
		});
	}
}

const away = new ApiUnreachableError('http://127.0.0.1:1', { cause: new Error('connect ECONNREFUSED') });
const turn = () => new Promise((resolve) => setImmediate(resolve));

function setUp(options: Pick<InformerOptions, 'firstList' | 'without' | 'mayLack'> = {}) {
	const client = new HeldClient();
	const clock = new FakeClock();
	const log = recordingLogger();
	const informer = new Informer({ client, kind: coreKinds.nodes, log, clock, random: () => 0, ...options });
	return { client, clock, log, informer };
}

const node = (name: string, resourceVersion: string) => ({ metadata: { name, uid: name, resourceVersion } });
const versions = ({ items }: Informer) => [...items.values()].map(({ name, resourceVersion }) => `${name} ${resourceVersion}`);

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

const forbidden = new ApiError(403, 'Forbidden', 'nodes is forbidden: User "system:serviceaccount:kube-system:bgpmesh" cannot list resource "nodes"');
const missing = new ApiError(404, 'NotFound', 'the server could not find the requested resource');
const failures: readonly {
	readonly title: string;
	readonly options: Pick<InformerOptions, 'without' | 'mayLack'>;
	readonly error: Error;
	readonly says: readonly [level: string, message: RegExp];
	readonly seen: { readonly synced: boolean; readonly answered: boolean; readonly refusal?: string; readonly away: boolean };
}[] = [
	{
		title: 'a server that is away is told as away',
		options: { without: 'x', mayLack: true },
		error: away,
		says: ['warn', /^API server away/],
		seen: { synced: false, answered: false, away: true },
	},
	{
		title: 'a kind that may not be read, and is needed, is an error, and no server that is away',
		options: {},
		error: forbidden,
		says: ['error', /rights to list and watch/],
		seen: { synced: false, answered: true, refusal: forbidden.message, away: false },
	},
	{
		title: 'a kind that may not be read, and can be done without, is a warning',
		options: { without: 'nothing much' },
		error: forbidden,
		says: ['warn', /rights to list and watch/],
		seen: { synced: false, answered: true, refusal: forbidden.message, away: false },
	},
	{
		title: 'a kind that the server does not have, and may lack, has no objects',
		options: { mayLack: true },
		error: missing,
		says: ['info', /does not have a kind/],
		seen: { synced: true, answered: true, away: false },
	},
	{
		title: 'a kind that the server does not have, and should, is waited for',
		options: {},
		error: missing,
		says: ['warn', /^API server away/],
		seen: { synced: false, answered: false, away: true },
	},
];
for (const { title, options, error, says, seen } of failures) {
	test(title, async (t) => {
		const { client, log, informer } = setUp(options);
		let answered = false;
		informer.onAnswered(() => {
			answered = true;
		});
		informer.start();
		client.refuse(error);
		await turn();
		t.deepEqual(
			log.lines.map(({ level, fields }) => [level, fields['kind']]),
			[[says[0], 'Node']],
		);
		t.regex(log.lines[0]?.message ?? '', says[1]);
		const { synced, refusal, failingSinceMs } = informer;
		t.deepEqual({ synced, answered, ...(refusal === undefined ? {} : { refusal }), away: failingSinceMs !== undefined }, seen);
		t.is((await outcome(informer.listed(0))) === 'listed', synced);
		informer.stop();
	});
}

test('what is known of a kind stays while the server seems not to have it', async (t) => {
	const { client, informer } = setUp({ mayLack: true });
	informer.restore([node('a', '7')]);
	informer.start();
	client.refuse(missing);
	await turn();
	t.deepEqual(versions(informer), ['a 7']);
	t.false(informer.synced);
	informer.stop();
});

test('only a first list of all may be of any age: after a watch that expired nothing goes back in time', async (t) => {
	const { client, informer } = setUp({ firstList: 'any' });
	informer.start();
	client.answer({ items: [], resourceVersion: '5' });
	await turn();
	client.expire(new ApiError(410, 'Expired', 'too old'));
	await turn();
	t.deepEqual(client.ages, ['any', 'newest']);
	informer.stop();
});

test('with what an earlier life knew the first list is the newest, whatever it may be', (t) => {
	const { client, informer } = setUp({ firstList: 'any' });
	informer.restore([node('a', '7')]);
	informer.start();
	t.deepEqual(client.ages, ['newest']);
	informer.stop();
});

test('a first list is the newest where nothing is said', (t) => {
	const { client, informer } = setUp();
	informer.start();
	t.deepEqual(client.ages, ['newest']);
	informer.stop();
});

test('what was written while an older list was on its way stays as it was written', async (t) => {
	const { client, log, informer } = setUp();
	informer.start();
	client.answer({ items: [node('kept', '3'), node('changed', '2'), node('removed', '4')], resourceVersion: '5' });
	await turn();
	client.expire(new ApiError(410, 'Expired', 'too old'));
	await turn();
	informer.absorb(node('changed', '8'));
	informer.absorb(node('made', '9'));
	informer.absorb(node('made and gone', '6'));
	informer.forget('removed', '4');
	client.answer({ items: [node('kept', '3'), node('changed', '2'), node('removed', '4')], resourceVersion: '7' });
	await turn();
	t.deepEqual(versions(informer), ['kept 3', 'changed 8', 'made 9']);
	t.deepEqual(
		log.lines.filter(({ level }) => level === 'warn'),
		[],
	);
	informer.stop();
});

test('a list of the newest that is older than what is known tells of a restored backup', async (t) => {
	const { client, log, informer } = setUp();
	informer.restore([node('a', '70')]);
	informer.start();
	client.answer({ items: [node('a', '7')], resourceVersion: '8' });
	await turn();
	t.deepEqual(versions(informer), ['a 7']);
	t.deepEqual(
		log.lines.filter(({ level }) => level === 'warn').map(({ fields }) => [fields['from'], fields['to']]),
		[['70', '7']],
	);
	informer.stop();
});
