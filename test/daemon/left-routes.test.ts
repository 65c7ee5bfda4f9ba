import test from 'ava';
import { atOnce, type FibRouteView, prefixKey } from '../../src/core/index.ts';
import { type LeftRoutesInput, LeftRoutesWatch, missingRoutes } from '../../src/daemon/left-routes.ts';

const skipped = (prefix: string, via?: string): FibRouteView => ({
	prefix: prefixKey(prefix),
	type: 'unicast',
	...(via === undefined ? {} : { via }),
	onlink: false,
	metric: 0,
	state: 'skipped',
	reason: 'left to Felix',
});
const pool = (cidr: string, foreign?: string) => ({
	cidr: prefixKey(cidr),
	ipipMode: 'Always' as const,
	natOutgoing: false,
	...(foreign === undefined ? {} : { foreign }),
});
const present = (...prefixes: string[]) => new Set(prefixes.map((prefix) => prefixKey(prefix)));
const given: LeftRoutesInput = {
	pools: [pool('192.168.0.0/16', 'left to Felix'), pool('172.20.0.0/16')],
	nodes: new Set(['10.0.1.3', 'fd00:1::3']),
	known: [skipped('192.168.2.0/26', '10.0.1.3')],
	present: present(),
};

for (const [title, changed, missing] of [
	['the kernel does not have it', {}, ['192.168.2.0/26']],
	['the kernel has it', { present: present('192.168.2.0/26') }, []],
	['a wider route inside of the pool covers it', { present: present('192.168.0.0/20') }, []],
	['a default route does not count', { present: present('0.0.0.0/0', '192.0.0.0/8') }, ['192.168.2.0/26']],
	['a narrower route does not count', { present: present('192.168.2.0/27') }, ['192.168.2.0/26']],
	['it is no node that has it', { known: [skipped('192.168.2.0/26', '10.0.1.99')] }, []],
	['this node announces it', { known: [skipped('192.168.2.0/26')] }, []],
	['its pool is ours', { known: [skipped('172.20.2.0/26', '10.0.1.3')] }, []],
	['this node writes it', { known: [{ ...skipped('192.168.2.0/26', '10.0.1.3'), state: 'missing' as const }] }, []],
	[
		'IPv6',
		{ pools: [pool('fd98::/48', 'left to Felix')], known: [skipped('fd98::/122', 'fd00:1::3')] },
		['fd98::/122'],
	],
] as const) {
	test(`a route that is left to Felix is ${missing.length === 0 ? 'not missing' : 'missing'}: ${title}`, (t) => {
		const found = atOnce(missingRoutes({ ...given, ...changed }));
		t.deepEqual(
			found.flatMap(({ routes }) => routes.map(({ prefix }) => prefix as string)),
			missing,
		);
	});
}

test('a missing route counts from the second look on, and no longer when it is there', async (t) => {
	let now: Partial<LeftRoutesInput> = {};
	let reads = 0;
	const watch = new LeftRoutesWatch(
		() => ({ ...given, ...now }),
		async () => {
			reads++;
			return now.present ?? present();
		},
	);
	const found = async () => {
		await watch.look();
		return watch.found.map(({ pool: cidr, reason, routes }) => [cidr, reason, routes]);
	};
	const problem = ['192.168.0.0/16', 'left to Felix', [{ prefix: '192.168.2.0/26', via: '10.0.1.3' }]];
	t.deepEqual(await found(), []);
	t.deepEqual(await found(), [problem] as unknown[]);
	now = { known: [...given.known, skipped('192.168.3.0/26', '10.0.1.3')] };
	t.deepEqual(await found(), [problem] as unknown[], 'a new block is not counted yet');
	now = { present: present('192.168.2.0/26') };
	t.deepEqual(await found(), []);
	const before = reads;
	now = { pools: [pool('192.168.0.0/16')] };
	t.deepEqual(await found(), []);
	t.is(reads, before, 'no route is read where every pool is ours');
});
