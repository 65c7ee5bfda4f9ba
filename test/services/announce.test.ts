import test from 'ava';
import { type PrefixKey, prefixKey, silentLogger } from '../../src/core/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import {
	type Announcement,
	type AnnouncementMemo,
	type AnnouncementOptions,
	announcementsOf,
	ServiceAnnouncer,
	type ServicesState,
} from '../../src/services/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { endpoint, type Fields, newState, service, slice } from './fixtures.ts';

const lists = (more: Partial<AnnouncementOptions> = {}): AnnouncementOptions => ({
	clusterCidrs: [],
	externalCidrs: [],
	loadBalancerCidrs: [],
	aggregation: true,
	...more,
});
const cidrs = (...texts: string[]): PrefixKey[] => texts.map((text) => prefixKey(text));

function stateWith(services: readonly JsonObject[], slices: readonly JsonObject[]): ServicesState {
	const state = newState();
	for (const raw of services) state.setService(raw);
	for (const raw of slices) state.setSlice(raw);
	state.settle();
	return state;
}

const known = (state: ServicesState) => [...state.services].flatMap((key) => state.service(key) ?? []);

const announced = (
	state: ServicesState,
	options: AnnouncementOptions,
	more: {
		excluded?: boolean;
		isProgrammed?: (key: string) => boolean;
		isHeld?: boolean;
		memo?: AnnouncementMemo;
	} = {},
): string[] =>
	[
		...announcementsOf({
			node: 'node-a',
			excluded: more.excluded ?? false,
			options,
			services: known(state),
			isProgrammed: more.isProgrammed ?? (() => true),
			isHeld: () => more.isHeld ?? false,
			...(more.memo === undefined ? {} : { memo: more.memo }),
		}).values(),
	].map(({ prefix, state: how }) => (how === 'ready' ? prefix : `${prefix} draining`));

const loadBalancer = (spec: Fields = {}, ingress: readonly JsonObject[] = [{ ip: '198.51.100.7' }]) =>
	service(
		'web',
		{ type: 'LoadBalancer', externalTrafficPolicy: 'Local', ...spec },
		{ status: { loadBalancer: { ingress } } },
	);
const local = endpoint('10.0.1.1', 'node-a');
const remote = endpoint('10.0.2.1', 'node-b');
const terminating = { conditions: { ready: false, serving: true, terminating: true } };
const notReady = { conditions: { ready: false, serving: false, terminating: false } };

const rows: readonly {
	readonly title: string;
	readonly options: AnnouncementOptions;
	readonly services?: readonly JsonObject[];
	readonly endpoints?: readonly JsonObject[];
	readonly excluded?: boolean;
	readonly expected: readonly string[];
}[] = [
	{
		title:
			'ranges are announced without any service; a /32 of an external list is not a range, one of the cluster list is',
		options: lists({
			clusterCidrs: cidrs('172.30.0.0/16', '172.31.0.1/32'),
			externalCidrs: cidrs('203.0.113.0/24', '203.0.114.1/32'),
			loadBalancerCidrs: cidrs('198.51.100.0/24'),
		}),
		expected: ['172.30.0.0/16', '172.31.0.1/32', '203.0.113.0/24', '198.51.100.0/24'],
	},
	{
		title: 'without aggregation the load balancer ranges are not announced',
		options: lists({ loadBalancerCidrs: cidrs('198.51.100.0/24'), aggregation: false }),
		expected: [],
	},
	{
		title: 'an excluded node announces nothing',
		options: lists({ clusterCidrs: cidrs('172.30.0.0/16'), loadBalancerCidrs: cidrs('198.51.100.0/24') }),
		services: [loadBalancer()],
		endpoints: [local],
		excluded: true,
		expected: [],
	},
	{
		title:
			'policy Local with a local ready endpoint announces the address, and the cluster IP where cluster CIDRs are listed',
		options: lists({ clusterCidrs: cidrs('172.30.0.0/16'), loadBalancerCidrs: cidrs('198.51.100.0/24') }),
		services: [loadBalancer()],
		endpoints: [local, remote],
		expected: ['172.30.0.0/16', '198.51.100.0/24', '172.30.0.1/32', '198.51.100.7/32'],
	},
	{
		title: 'policy Local with only remote endpoints announces nothing',
		options: lists({ loadBalancerCidrs: cidrs('198.51.100.0/24') }),
		services: [loadBalancer()],
		endpoints: [remote],
		expected: ['198.51.100.0/24'],
	},
	{
		title: 'a local endpoint that is not ready announces nothing',
		options: lists({ loadBalancerCidrs: cidrs('198.51.100.7/32') }),
		services: [loadBalancer()],
		endpoints: [endpoint('10.0.1.1', 'node-a', notReady), remote],
		expected: [],
	},
	{
		title: 'while the last local endpoint is terminating and serving, the address drains',
		options: lists({ loadBalancerCidrs: cidrs('198.51.100.7/32') }),
		services: [loadBalancer()],
		endpoints: [endpoint('10.0.1.1', 'node-a', terminating), remote],
		expected: ['198.51.100.7/32 draining'],
	},
	{
		title: 'a Service without slices is not announced',
		options: lists({ loadBalancerCidrs: cidrs('198.51.100.7/32') }),
		services: [loadBalancer()],
		expected: [],
	},
	{
		title: 'an address outside of the lists is not announced, nor one of ipMode Proxy',
		options: lists({
			loadBalancerCidrs: cidrs('198.51.100.7/32', '198.51.100.8/32'),
			externalCidrs: cidrs('203.0.113.1/32'),
		}),
		services: [
			loadBalancer({ externalIPs: ['203.0.113.2'] }, [{ ip: '198.51.100.8', ipMode: 'Proxy' }, { ip: '198.51.100.9' }]),
		],
		endpoints: [local],
		expected: [],
	},
	{
		title: 'policy Cluster is announced where its address is listed alone, by every node',
		options: lists({ loadBalancerCidrs: cidrs('198.51.100.7/32') }),
		services: [loadBalancer({ externalTrafficPolicy: 'Cluster' })],
		endpoints: [remote],
		expected: ['198.51.100.7/32'],
	},
	{
		title: 'policy Cluster inside a wide range is left to the range',
		options: lists({ loadBalancerCidrs: cidrs('198.51.100.0/24') }),
		services: [loadBalancer({ externalTrafficPolicy: 'Cluster' })],
		endpoints: [remote],
		expected: ['198.51.100.0/24'],
	},
	{
		title: 'without aggregation policy Cluster is announced while an endpoint is ready anywhere',
		options: lists({ loadBalancerCidrs: cidrs('198.51.100.0/24'), aggregation: false }),
		services: [loadBalancer({ externalTrafficPolicy: 'Cluster' })],
		endpoints: [remote],
		expected: ['198.51.100.7/32'],
	},
	{
		title:
			'a ClusterIP service with a separately listed external IP counts as policy Cluster, although it sets no policy',
		options: lists({ externalCidrs: cidrs('203.0.113.9/32') }),
		services: [service('web', { externalIPs: ['203.0.113.9'] })],
		endpoints: [remote],
		expected: ['203.0.113.9/32'],
	},
	{
		title: 'each family is announced by its own endpoints',
		options: lists({ loadBalancerCidrs: cidrs('198.51.100.7/32', 'fd00:98::7/128') }),
		services: [
			loadBalancer({ clusterIPs: ['172.30.0.1', 'fd00:96::1'] }, [{ ip: '198.51.100.7' }, { ip: 'fd00:98::7' }]),
		],
		endpoints: [local],
		expected: ['198.51.100.7/32'],
	},
	{
		title: 'a headless service is never announced',
		options: lists({ clusterCidrs: cidrs('172.30.0.0/16'), externalCidrs: cidrs('203.0.113.9/32') }),
		services: [service('web', { clusterIP: 'None', externalIPs: ['203.0.113.9'] })],
		endpoints: [local],
		expected: ['172.30.0.0/16'],
	},
];
for (const { title, options, services = [], endpoints = [], excluded, expected } of rows)
	test(title, (t) => {
		const state = stateWith(services, endpoints.length === 0 ? [] : [slice('web-1', 'web', endpoints)]);
		t.deepEqual(announced(state, options, excluded === undefined ? {} : { excluded }).sort(), [...expected].sort());
	});

test('a Service that is not in the data plane yet is not announced; an announced one stays during a change', (t) => {
	const state = stateWith([loadBalancer()], [slice('web-1', 'web', [local])]);
	const options = lists({ loadBalancerCidrs: cidrs('198.51.100.7/32') });
	t.deepEqual(announced(state, options, { isProgrammed: () => false }), []);
	t.deepEqual(announced(state, options, { isProgrammed: () => false, isHeld: true }), ['198.51.100.7/32']);
	t.deepEqual(announced(state, options), ['198.51.100.7/32']);
});

test('with remembered routes a changed Service is judged anew, the others are not', (t) => {
	const at = (name: string, number: number) =>
		service(name, {
			clusterIP: `172.30.0.${number}`,
			externalTrafficPolicy: 'Local',
			externalIPs: [`203.0.113.${number}`],
		});
	const state = stateWith(
		[at('web', 1), at('api', 2)],
		[slice('web-1', 'web', [local]), slice('api-1', 'api', [local])],
	);
	const options = lists({ externalCidrs: cidrs('203.0.113.1/32', '203.0.113.2/32') });
	const memo: AnnouncementMemo = new WeakMap();
	const now = () => announced(state, options, { memo });
	t.deepEqual(now(), ['203.0.113.1/32', '203.0.113.2/32']);
	const [web, api] = ['ns/web', 'ns/api'].map((key) => state.service(key));
	state.setSlice(slice('web-1', 'web', [remote]));
	state.settle();
	t.deepEqual(now(), ['203.0.113.2/32']);
	t.is(state.service('ns/api'), api, 'a Service that has not changed is the same object');
	t.not(state.service('ns/web'), web);
	state.setSlice(slice('web-1', 'web', [local]));
	state.removeService('ns/api');
	state.settle();
	t.deepEqual(now(), ['203.0.113.1/32']);
	t.deepEqual(now(), announced(state, options));
});

test('an address of two Services stays until the last one drops it', (t) => {
	const options = lists({ externalCidrs: cidrs('203.0.113.9/32') });
	const at = (name: string, clusterIP: string) => service(name, { clusterIP, externalIPs: ['203.0.113.9'] });
	const state = stateWith(
		[at('web', '172.30.0.1'), at('api', '172.30.0.2')],
		[slice('web-1', 'web', [local]), slice('api-1', 'api', [local])],
	);
	t.deepEqual(announced(state, options), ['203.0.113.9/32']);
	state.removeService('ns/web');
	state.settle();
	t.deepEqual(announced(state, options), ['203.0.113.9/32']);
	state.removeSlice('ns/api-1');
	state.settle();
	t.deepEqual(announced(state, options), []);
});

function announcerWith(initial: readonly Announcement[], leadMs = 0) {
	const clock = new FakeClock();
	const told: string[] = [];
	const at = { wanted: new Map(initial.map((entry) => [entry.prefix, entry])), serves: true };
	const announcer = new ServiceAnnouncer({
		originate: (prefix, { communities = [], localPref }) =>
			void told.push(
				['announce', prefix, ...communities, ...(localPref === undefined ? [] : [`pref ${localPref}`])].join(' '),
			),
		withdraw: (prefix) => void told.push(`withdraw ${prefix}`),
		wanted: () => at.wanted,
		stillServes: () => at.serves,
		isTaken: (prefix) => prefix === '203.0.113.200/32',
		drainMs: () => 5_000,
		leadMs: () => leadMs,
		clock,
		log: silentLogger,
	});
	announcer.refresh();
	return { clock, told, at, announcer };
}
const address = (state: Announcement['state'] = 'ready', text = '198.51.100.7/32'): Announcement => ({
	prefix: prefixKey(text),
	kind: 'load-balancer-ip',
	services: ['ns/web'],
	state,
});

test('an address that drains carries GRACEFUL_SHUTDOWN and LOCAL_PREF 0 before it is withdrawn', (t) => {
	const { told, at, announcer } = announcerWith([address()]);
	at.wanted = new Map([[prefixKey('198.51.100.7/32'), address('draining')]]);
	announcer.refresh();
	announcer.refresh();
	at.wanted = new Map();
	at.serves = false;
	announcer.refresh();
	t.deepEqual(told, [
		'announce 198.51.100.7/32',
		'announce 198.51.100.7/32 graceful-shutdown pref 0',
		'withdraw 198.51.100.7/32',
	]);
	t.is(announcer.announced.size, 0);
});

test('an address that this node could still serve is drained for a while, then withdrawn', (t) => {
	const { clock, told, at, announcer } = announcerWith([address()]);
	at.wanted = new Map();
	announcer.refresh();
	clock.advance(4_999);
	t.deepEqual(told, ['announce 198.51.100.7/32', 'announce 198.51.100.7/32 graceful-shutdown pref 0']);
	clock.advance(1);
	t.is(told.at(-1), 'withdraw 198.51.100.7/32');
	t.is(clock.pendingCount, 0);
});

test('an address that is needed again during its drain is announced as before', (t) => {
	const { clock, told, at, announcer } = announcerWith([address()]);
	at.wanted = new Map();
	announcer.refresh();
	clock.advance(1_000);
	at.wanted = new Map([[prefixKey('198.51.100.7/32'), address()]]);
	announcer.refresh();
	clock.advance(60_000);
	t.deepEqual(told, [
		'announce 198.51.100.7/32',
		'announce 198.51.100.7/32 graceful-shutdown pref 0',
		'announce 198.51.100.7/32',
	]);
});

test('a prefix that is announced for another reason is left unchanged', (t) => {
	const { told, at, announcer } = announcerWith([address('ready', '203.0.113.200/32')]);
	at.wanted = new Map();
	at.serves = false;
	announcer.refresh();
	t.deepEqual(told, []);
});

test('with a lead neighbours learn of an address, of its drain and of its return some time later', (t) => {
	const { clock, told, at, announcer } = announcerWith([address()], 1_000);
	const prefix = prefixKey('198.51.100.7/32');
	const turn = (wanted: ReadonlyMap<typeof prefix, Announcement>): string[] => {
		at.wanted = new Map(wanted);
		announcer.refresh();
		clock.advance(999);
		const early = told.splice(0);
		clock.advance(2);
		t.deepEqual(early, []);
		return told.splice(0);
	};
	t.false(announcer.isAnnounced(prefix));
	t.deepEqual(turn(new Map([[prefix, address()]])), [`announce ${prefix}`]);
	t.true(announcer.isAnnounced(prefix));
	t.deepEqual(turn(new Map([[prefix, address('draining')]])), [`announce ${prefix} graceful-shutdown pref 0`]);
	t.deepEqual(turn(new Map([[prefix, address()]])), [`announce ${prefix}`]);
	t.deepEqual(turn(new Map()), [`announce ${prefix} graceful-shutdown pref 0`]);
	clock.advance(5_000);
	t.deepEqual(told, [`withdraw ${prefix}`]);
});

test('an address that is never announced is not withdrawn', (t) => {
	const { told, at, announcer } = announcerWith([address()], 1_000);
	at.wanted = new Map();
	announcer.refresh();
	t.deepEqual(told, []);
});
