import { execFileSync } from 'node:child_process';
import test from 'ava';
import {
	decodeRoute,
	Group,
	MessageType,
	NetlinkEvents,
	Rtnetlink,
	systemEnvironment,
} from '../../../src/linux/index.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: events of the kernel: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const until = async (condition: () => boolean) => {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};

function watch(ignorePortId?: number, ignoreRouteProtocol?: number) {
	const seen: string[] = [];
	const losses: string[] = [];
	const events = new NetlinkEvents({
		groups: ignoreRouteProtocol === undefined ? [Group.ipv4Route] : [Group.link, Group.ipv4Route],
		ignorePortId,
		...(ignoreRouteProtocol === undefined ? {} : { ignoreRouteProtocol }),
		onMessage: (message) => {
			if (message.type === MessageType.newLink) seen.push('link');
			if (message.type !== MessageType.newRoute && message.type !== MessageType.deleteRoute) return;
			const route = decodeRoute(message);
			seen.push(
				`${message.type === MessageType.newRoute ? '+' : '-'} ${route?.destination.join('.')}/${route?.length}`,
			);
		},
		onLoss: (reason) => losses.push(reason),
	});
	return { seen, losses, events };
}

namespaceTest('an exception while an event is handled is reported, and the rest counts as lost', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	const faults: unknown[] = [];
	const losses: string[] = [];
	let seen = 0;
	const events = new NetlinkEvents({
		groups: [Group.ipv4Route],
		ignorePortId: undefined,
		onMessage: () => {
			if (seen++ === 0) throw new TypeError('a fault in a watcher');
		},
		onLoss: (reason) => losses.push(reason),
		onFault: (error) => faults.push(error),
	});
	ip('route add 172.16.0.0/24 via 10.7.0.2');
	await until(() => losses.length === 1);
	t.deepEqual([faults.length, losses], [1, ['a fault in a watcher']]);
	ip('route del 172.16.0.0/24');
	await until(() => seen === 2);
	t.is(faults.length, 1, 'the next event is handled');
	events.close();
});

namespaceTest('a storm of events is handled in many turns of the event loop', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	const { seen, events } = watch();
	let turns = 0;
	let counting = true;
	const count = () => {
		if (seen.length > 0) turns++;
		if (counting) setImmediate(count);
	};
	const routes = Array.from(
		{ length: 20_000 },
		(_, number) => `route add 172.${16 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}/32 via 10.7.0.2`,
	);
	// All events are in the socket before the first turn.
	execFileSync('ip', ['-batch', '-'], { input: routes.join('\n'), env: systemEnvironment() });
	count();
	await until(() => seen.length === 20_000);
	counting = false;
	t.true(turns >= 30, `${turns} turns`);
	events.close();
});

namespaceTest('changes of routes by other programs are reported', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	const { seen, losses, events } = watch();
	ip('route add 172.16.0.0/24 via 10.7.0.2');
	ip('route del 172.16.0.0/24');
	await until(() => seen.length === 2);
	t.deepEqual(seen, ['+ 172.16.0.0/24', '- 172.16.0.0/24']);
	t.deepEqual(losses, []);
	events.close();
});

namespaceTest('changes by an ignored port are not reported', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	const netlink = new Rtnetlink();
	const { seen, events } = watch(netlink.portId);
	const route = { family: 'ipv4', length: 24, table: 254, protocol: 80, type: 6, priority: 0, nextHops: [] } as const;
	t.is(
		(await netlink.changeRoutes([{ verb: 'add', route: { ...route, destination: Uint8Array.of(172, 16, 1, 0) } }]))
			.size,
		0,
	);
	ip('route add blackhole 172.16.2.0/24');
	await until(() => seen.length > 0);
	t.deepEqual(seen, ['+ 172.16.2.0/24']);
	events.close();
	netlink.close();
});

namespaceTest('routes of an ignored protocol are not reported, interfaces and other routes are', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	const { seen, events } = watch(undefined, 80);
	ip('route add 172.16.1.0/24 via 10.7.0.2 proto 80');
	ip('route add 172.16.2.0/24 via 10.7.0.2 proto 81');
	ip('route del 172.16.1.0/24');
	ip('link set left mtu 1400');
	ip('route del 172.16.2.0/24');
	await until(() => seen.length >= 3);
	t.deepEqual([...new Set(seen)], ['+ 172.16.2.0/24', 'link', '- 172.16.2.0/24']);
	events.close();
});

namespaceTest('when events overflow, the loss is reported and the stream goes on', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	const { seen, losses, events } = watch();
	// While this runs no event is read, and the kernel's buffer holds some ten thousand events.
	const batch = Array.from(
		{ length: 60_000 },
		(_, index) => `route add blackhole 100.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}/32\n`,
	).join('');
	execFileSync('ip', ['-force', '-batch', '-'], { input: batch, env: systemEnvironment() });
	await until(() => losses.length > 0);
	t.true(seen.length < 60_000);
	seen.length = 0;
	ip('route add blackhole 172.16.9.0/24');
	await until(() => seen.includes('+ 172.16.9.0/24'));
	t.is(losses.length, 1);
	t.regex(losses[0] ?? '', /ENOBUFS/);
	events.close();
});
