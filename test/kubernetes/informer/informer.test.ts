import test from 'ava';
import { silentLogger } from '../../../src/core/index.ts';
import type { JsonObject } from '../../../src/json/index.ts';
import {
	ApiClient,
	ApiError,
	ApiUnreachableError,
	coreKinds,
	Informer,
	type InformerDependencies,
	KubernetesIpamStore,
	type ListResult,
	NotListedError,
	serverStateOf,
} from '../../../src/kubernetes/index.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { recordingLogger } from '../../fakes/log.ts';

/** A server whose lists are returned, or refused, on command of the test. */
class HeldClient extends ApiClient {
	answer: (result: ListResult) => void = () => {};
	refuse: (error: Error) => void = () => {};

	constructor() {
		super({ server: 'http://127.0.0.1:1', namespace: 'default', options: async () => ({}) }, Math.random);
	}

	readonly ages: (string | undefined)[] = [];
	/** The open watch ends with this error. */
	expire: (error: Error) => void = () => {};

	/** Passes an object of the list on before the list is complete. */
	take: (object: JsonObject) => void = () => {};

	override list(...[, options]: Parameters<ApiClient['list']>): Promise<ListResult> {
		this.ages.push(options?.age);
		this.take = options?.take ?? (() => {});
		return new Promise((resolve, reject) => {
			this.answer = resolve;
			this.refuse = reject;
		});
	}

	/** The server's newest version; '': not reported. */
	newest: () => Promise<string> = async () => '';
	/** The server accepts watches immediately. */
	opens = false;
	watches = 0;

	override revision(): Promise<string> {
		return this.newest();
	}

	override async *watch(...[, { signal, onOpen }]: Parameters<ApiClient['watch']>) {
		this.watches++;
		if (this.opens) onOpen?.();
		await new Promise((_, reject) => {
			this.expire = reject;
			signal.addEventListener('abort', () => reject(new Error('ended')));
		});
	}
}

const away = new ApiUnreachableError('http://127.0.0.1:1', { cause: new Error('connect ECONNREFUSED') });
const turn = () => new Promise((resolve) => setImmediate(resolve));

function setUp(options: Pick<InformerDependencies, 'firstList' | 'without' | 'mayLack' | 'keep'> = {}) {
	const client = new HeldClient();
	const clock = new FakeClock();
	const log = recordingLogger();
	const informer = new Informer({ client, kind: coreKinds.nodes, log, clock, random: () => 0, ...options });
	return { client, clock, log, informer };
}

const node = (name: string, resourceVersion: string) => ({ metadata: { name, uid: name, resourceVersion } });
const versions = ({ items }: Informer) =>
	[...items.values()].map(({ name, resourceVersion }) => `${name} ${resourceVersion}`);

const outcome = (wait: Promise<void>) =>
	wait.then(
		() => 'listed',
		(error: unknown) => error,
	);

test('a request for a list in progress waits for it', async (t) => {
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

test('the wait for a list is limited to the requested time', async (t) => {
	const { clock, informer } = setUp();
	informer.start();
	const wait = outcome(informer.listed(1000));
	clock.advance(1000);
	const refusal = await wait;
	t.true(refusal instanceof NotListedError);
	t.is((refusal as Error).message, 'the API server has not listed yet which Node there are');
	informer.stop();
});

test('pending and later waits fail at once when the API server is found unreachable', async (t) => {
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

test('a store without any response of the API server refuses every read, without waiting', async (t) => {
	const { client, clock, informer } = setUp();
	const dependencies = { client, log: silentLogger, clock, random: () => 0 };
	const store = new KubernetesIpamStore({
		...dependencies,
		layout: 'crd.projectcalico.org/v1',
		node: 'n',
		nodes: informer,
	});
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

const forbidden = new ApiError(
	403,
	'Forbidden',
	'nodes is forbidden: User "system:serviceaccount:kube-system:bgpmesh" cannot list resource "nodes"',
);
const missing = new ApiError(404, 'NotFound', 'the server could not find the requested resource');
const failures: readonly {
	readonly title: string;
	readonly options: Pick<InformerDependencies, 'without' | 'mayLack'>;
	readonly error: Error;
	readonly says: readonly [level: string, message: RegExp];
	readonly seen: {
		readonly synced: boolean;
		readonly answered: boolean;
		readonly refusal?: string;
		readonly away: boolean;
	};
}[] = [
	{
		title: 'an unreachable server is reported as unreachable',
		options: { without: 'x', mayLack: true },
		error: away,
		says: ['warn', /^API server away/],
		seen: { synced: false, answered: false, away: true },
	},
	{
		title: 'a forbidden kind that is required is an error, and does not count as an unreachable server',
		options: {},
		error: forbidden,
		says: ['error', /rights to list and watch/],
		seen: { synced: false, answered: true, refusal: forbidden.message, away: false },
	},
	{
		title: 'a forbidden kind that is optional is a warning',
		options: { without: 'nothing much' },
		error: forbidden,
		says: ['warn', /rights to list and watch/],
		seen: { synced: false, answered: true, refusal: forbidden.message, away: false },
	},
	{
		title: 'an optional kind that the server does not have has no objects',
		options: { mayLack: true },
		error: missing,
		says: ['info', /does not have a kind/],
		seen: { synced: true, answered: true, away: false },
	},
	{
		title: 'a required kind that the server does not have is waited for',
		options: {},
		error: missing,
		says: ['warn', /^the API server refuses to list or watch a kind/],
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
			log.lines.map(({ level, fields }) => [level, fields['kind'] ?? fields['first']]),
			[[says[0], 'Node']],
		);
		t.regex(log.lines[0]?.message ?? '', says[1]);
		const { synced, refusal, failingSinceMs } = informer;
		t.deepEqual(
			{ synced, answered, ...(refusal === undefined ? {} : { refusal }), away: failingSinceMs !== undefined },
			seen,
		);
		t.is((await outcome(informer.listed(0))) === 'listed', synced);
		informer.stop();
	});
}

test('known objects of a kind stay while the server reports the kind as missing', async (t) => {
	const { client, informer } = setUp({ mayLack: true });
	informer.restore([node('a', '7')]);
	informer.start();
	client.refuse(missing);
	await turn();
	t.deepEqual(versions(informer), ['a 7']);
	t.false(informer.synced);
	informer.stop();
});

test('a copy of versions reports the objects of a list before it is complete, and removals behind it', async (t) => {
	const { client, informer } = setUp({ keep: 'versions' });
	const reported: string[] = [];
	informer.onChanges((changes) => {
		for (const { type, resource } of changes) reported.push(`${type} ${resource.name} ${resource.resourceVersion}`);
	});
	const seen = () => reported.splice(0);
	informer.start();
	client.take(node('a', '1'));
	client.take(node('b', '2'));
	t.deepEqual(seen(), ['added a 1', 'added b 2']);
	t.false(informer.synced);
	// The page is repeated.
	client.take(node('b', '2'));
	client.answer({ items: [], resourceVersion: '5' });
	await turn();
	t.deepEqual(seen(), []);
	t.true(informer.synced);
	client.expire(new ApiError(410, 'Expired', 'too old'));
	await turn();
	client.take(node('b', '6'));
	client.refuse(away);
	await turn();
	t.deepEqual(seen(), ['changed b 6']);
	t.deepEqual(versions(informer), ['a 1', 'b 6']);
	informer.stop();
});

test('an object that a list lacks is removed from a copy of versions', async (t) => {
	const { client, informer } = setUp({ keep: 'versions' });
	informer.start();
	client.answer({ items: [node('a', '1'), node('b', '2')], resourceVersion: '5' });
	await turn();
	client.expire(new ApiError(410, 'Expired', 'too old'));
	await turn();
	const removed: string[] = [];
	informer.onChanges((changes) => {
		for (const { type, resource } of changes) removed.push(`${type} ${resource.name}`);
	});
	client.take(node('b', '2'));
	client.answer({ items: [], resourceVersion: '7' });
	await turn();
	t.deepEqual(removed, ['removed a']);
	t.deepEqual(versions(informer), ['b 2']);
	informer.stop();
});

test('only the very first list may be of any age: after an expired watch the state does not go back in time', async (t) => {
	const { client, informer } = setUp({ firstList: 'any' });
	informer.start();
	client.answer({ items: [], resourceVersion: '5' });
	await turn();
	client.expire(new ApiError(410, 'Expired', 'too old'));
	await turn();
	t.deepEqual(client.ages, ['any', 'newest']);
	informer.stop();
});

test('with a state from an earlier run the first list is the newest, for any option', (t) => {
	const { client, informer } = setUp({ firstList: 'any' });
	informer.restore([node('a', '7')]);
	informer.start();
	t.deepEqual(client.ages, ['newest']);
	informer.stop();
});

test('a first list is the newest by default', (t) => {
	const { client, informer } = setUp();
	informer.start();
	t.deepEqual(client.ages, ['newest']);
	informer.stop();
});

test('an object written during an older list keeps its written state', async (t) => {
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

test('a newest list that is older than the known state indicates a restored backup', async (t) => {
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

/** Several kinds on one server. */
function severalKinds() {
	const clock = new FakeClock();
	const log = recordingLogger();
	const client = new HeldClient();
	client.opens = true;
	client.list = async () => ({ items: [], resourceVersion: '7' });
	const informers = [coreKinds.nodes, coreKinds.pods, coreKinds.secrets].map(
		(kind) => new Informer({ client, kind, log, clock, random: () => 0 }),
	);
	return { client, clock, log, informers };
}
const untilTrue = async (holds: () => boolean) => {
	for (let attempt = 0; attempt < 500 && !holds(); attempt++) await new Promise((resolve) => setTimeout(resolve, 5));
};

test('a server that is unreachable and returns is one state and one log line each, for any number of kinds', async (t) => {
	const { client, clock, log, informers } = severalKinds();
	client.list = () => Promise.reject(away);
	for (const informer of informers) informer.start();
	await turn();
	const state = serverStateOf(client, log, clock);
	t.not(state.awaySinceMs, undefined);
	client.list = async () => ({ items: [], resourceVersion: '7' });
	await untilTrue(() => informers.every(({ synced }) => synced));
	t.is(state.awaySinceMs, undefined);
	t.deepEqual(
		log.lines.filter(({ message }) => message.startsWith('API server')).map(({ message }) => message),
		['API server away, going on with what is known', 'API server is back'],
	);
	for (const informer of informers) informer.stop();
});

test('a watch that is silent for minutes is no fault while the server responds', async (t) => {
	const { client, clock, log, informers } = severalKinds();
	client.newest = async () => '7';
	for (const informer of informers) informer.start();
	await untilTrue(() => client.watches === informers.length);
	for (let minute = 0; minute < 30; minute++) {
		clock.advance(60_000);
		await turn();
	}
	t.is(client.watches, informers.length);
	t.is(serverStateOf(client, log, clock).awaySinceMs, undefined);
	t.deepEqual(
		log.lines.filter(({ level }) => level !== 'info'),
		[],
	);
	for (const informer of informers) informer.stop();
});

test('a server that does not respond while its watch is silent is unreachable', async (t) => {
	const { client, clock, log, informers } = severalKinds();
	for (const informer of informers) informer.start();
	await untilTrue(() => client.watches === informers.length);
	client.newest = () => Promise.reject(away);
	clock.advance(60_000);
	await untilTrue(() => serverStateOf(client, log, clock).awaySinceMs !== undefined);
	t.not(serverStateOf(client, log, clock).awaySinceMs, undefined);
	for (const informer of informers) informer.stop();
});

test('an accepted new watch means that the server is reachable, before any event', async (t) => {
	const { client, clock, informer, log } = setUp();
	client.opens = true;
	informer.start();
	client.answer({ items: [], resourceVersion: '7' });
	await untilTrue(() => client.watches === 1);
	client.expire(away);
	await untilTrue(() => client.watches === 2);
	t.is(serverStateOf(client, log, clock).awaySinceMs, undefined);
	t.true(informer.connected);
	informer.stop();
});

for (const [title, break_] of [
	['after its connection broke', (client: HeldClient) => client.expire(away)],
	['although its connection did not break', (_: HeldClient, clock: FakeClock) => clock.advance(60_000)],
] as const)
	test(`a server that was restored from an older state is listed again, ${title}`, async (t) => {
		const { client, clock, informer } = setUp();
		client.opens = true;
		informer.start();
		client.answer({ items: [node('gone', '90'), node('stays', '10')], resourceVersion: '100' });
		await untilTrue(() => client.watches === 1);
		// Fifty writes are lost.
		client.newest = async () => '50';
		const before = client.ages.length;
		break_(client, clock);
		await untilTrue(() => client.ages.length > before);
		client.answer({ items: [node('stays', '10')], resourceVersion: '50' });
		await untilTrue(() => client.watches === 2);
		t.deepEqual(versions(informer), ['stays 10']);
		t.is(client.ages.at(-1), 'newest');
		informer.stop();
	});
