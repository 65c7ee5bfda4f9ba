import { execFileSync } from 'node:child_process';
import test from 'ava';
import { decodeRoute, Group, MessageType, NetlinkEvents, Rtnetlink, systemEnvironment } from '../../../src/linux/index.ts';
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
			seen.push(`${message.type === MessageType.newRoute ? '+' : '-'} ${route?.destination.join('.')}/${route?.length}`);
		},
		onLoss: (reason) => losses.push(reason),
	});
	return { seen, losses, events };
}

namespaceTest('what others do to routes is told as it happens', async (t) => {
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

namespaceTest('what one port does is not told to who ignores it', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	const netlink = new Rtnetlink();
	const { seen, events } = watch(netlink.portId);
	const route = { family: 'ipv4', length: 24, table: 254, protocol: 80, type: 6, priority: 0, nextHops: [] } as const;
	t.is((await netlink.changeRoutes([{ verb: 'add', route: { ...route, destination: Uint8Array.of(172, 16, 1, 0) } }])).size, 0);
	ip('route add blackhole 172.16.2.0/24');
	await until(() => seen.length > 0);
	t.deepEqual(seen, ['+ 172.16.2.0/24']);
	events.close();
	netlink.close();
});

namespaceTest('routes of one protocol are not told to who ignores it, interfaces and the routes of others are', async (t) => {
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

namespaceTest('when events overflow, the loss is told and the stream goes on anew', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	const { seen, losses, events } = watch();
	// While this runs nobody reads, and the kernel's buffer holds some ten thousand events.
	const batch = Array.from({ length: 60_000 }, (_, index) => `route add blackhole 100.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}/32\n`).join(
		'',
	);
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
