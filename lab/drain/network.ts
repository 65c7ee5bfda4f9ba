import { must, removeNamespaces } from '../commands.ts';

/** A node of the drain laboratory. */
export interface DrainNode {
	readonly name: string;
	readonly address: string;
	/** The address of pod `index`. */
	readonly pod: (index: number) => string;
}

export const torAddress = '10.0.1.1';
export const serverAddress = '10.0.1.200';
export const torAsNumber = 64_999;
export const asNumber = 64_512;
/** The address of the Service, announced as /32 by nodes with an endpoint. */
export const serviceAddress = '198.51.100.10';
export const serviceRange = '198.51.100.0/24';

export const drainNodes: readonly DrainNode[] = ['a', 'b', 'c'].map((letter, index) => ({
	name: `node-${letter}`,
	address: `10.0.1.${11 + index}`,
	pod: (number) => `10.42.${index + 1}.${10 + number}`,
}));

/** The namespaces, cabled. */
export interface DrainNetwork {
	namespace(name: string): string;
	remove(): void;
}

const routing = [
	'net.ipv4.ip_forward=1',
	'net.ipv4.conf.all.rp_filter=0',
	'net.ipv4.conf.default.rp_filter=0',
	'net.ipv4.conf.all.send_redirects=0',
	'net.ipv4.conf.default.send_redirects=0',
];

/**
 * A client behind a top-of-rack router; three nodes at its switch, each with its pods behind a
 * veth. This process, with the API server, is at the switch too: it is in a namespace of its own.
 * @throws CommandError
 */
export async function buildDrainNetwork(prefix: string): Promise<DrainNetwork> {
	const namespace = (name: string) => `${prefix}${name}`;
	const names = ['client', 'tor', ...drainNodes.flatMap(({ name }) => [name, `pods-${name}`])].map(namespace);
	const remove = () => removeNamespaces(names);
	const inside = async (name: string, lines: readonly string[], sysctls: readonly string[] = []) => {
		await must('ip', ['-n', namespace(name), '-batch', '-'], lines.join('\n'));
		if (sysctls.length > 0) await must('ip', ['netns', 'exec', namespace(name), 'sysctl', '-q', '-w', ...sysctls]);
	};
	try {
		await must('ip', ['-batch', '-'], names.map((name) => `netns add ${name}`).join('\n'));
		const [tor, client] = [namespace('tor'), namespace('client')];
		await must(
			'ip',
			['-batch', '-'],
			[
				'link set lo up',
				`link add up0 netns ${client} type veth peer name client0 netns ${tor}`,
				`link add up0 type veth peer name server0 netns ${tor}`,
				`addr add ${serverAddress}/24 dev up0`,
				'link set up0 up',
				...drainNodes.flatMap(({ name }) => [
					`link add up0 netns ${namespace(name)} type veth peer name ${name} netns ${tor}`,
					`link add pods0 netns ${namespace(name)} type veth peer name eth0 netns ${namespace(`pods-${name}`)}`,
				]),
			].join('\n'),
		);
		const ports = ['server0', ...drainNodes.map(({ name }) => name)];
		await inside(
			'tor',
			[
				'link set lo up',
				'link add switch type bridge',
				...ports.flatMap((port) => [`link set ${port} master switch`, `link set ${port} up`]),
				`addr add ${torAddress}/24 dev switch`,
				'link set switch up',
				'addr add 10.9.0.1/24 dev client0',
				'link set client0 up',
			],
			// A connection is one flow, not all connections of a client.
			[...routing, 'net.ipv4.fib_multipath_hash_policy=1'],
		);
		await inside(
			'client',
			['link set lo up', 'addr add 10.9.0.2/24 dev up0', 'link set up0 up', 'route add default via 10.9.0.1'],
			['net.ipv4.ip_local_port_range=1024 65535'],
		);
		for (const [index, { name, address }] of drainNodes.entries()) {
			await inside(
				name,
				[
					'link set lo up',
					`addr add ${address}/24 dev up0`,
					'link set up0 up',
					`route add default via ${torAddress}`,
					`addr add 10.42.${index + 1}.1/24 dev pods0`,
					'link set pods0 up',
				],
				routing,
			);
			await inside(`pods-${name}`, [
				'link set lo up',
				...Array.from({ length: 20 }, (_, number) => `addr add 10.42.${index + 1}.${10 + number}/24 dev eth0`),
				'link set eth0 up',
				`route add default via 10.42.${index + 1}.1`,
			]);
		}
		return { namespace, remove };
	} catch (error) {
		remove();
		throw error;
	}
}
