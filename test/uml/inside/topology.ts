import { execFileSync, spawnSync } from 'node:child_process';

/** Runs a command; returns its output. @throws with its output */
export function run(words: string): string {
	const [command = '', ...args] = words.split(' ');
	const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
	if (status !== 0) throw new Error(`${words}: ${error?.message ?? stderr}`);
	return stdout;
}

/** Runs a command in a namespace. */
export const runIn = (namespace: string, words: string): string => run(`ip netns exec ${namespace} ${words}`);

export interface NodePlan {
	readonly name: string;
	readonly subnet: 1 | 2;
	readonly address: string;
	readonly block: string;
	readonly pod: string;
	/** The first address of the block. */
	readonly tunnelAddress: string;
}

const plan = (name: string, subnet: 1 | 2, host: number, block: number): NodePlan => ({
	name,
	subnet,
	address: `10.0.${subnet}.${host}`,
	block: `192.168.${block}.0/26`,
	pod: `192.168.${block}.10`,
	tunnelAddress: `192.168.${block}.0`,
});

/** Two nodes in one subnet and one in another, behind a router without routes to pods. */
export const nodes: readonly NodePlan[] = [plan('a', 1, 2, 1), plan('b', 1, 3, 2), plan('c', 2, 2, 3)];

/** Creates router, nodes, and a pod on each node with the route of a CNI plugin. */
export function buildTopology(): void {
	run('ip netns add router');
	forward('router');
	for (const subnet of [1, 2]) {
		runIn('router', `ip link add lan${subnet} type bridge`);
		runIn('router', `ip addr add 10.0.${subnet}.1/24 dev lan${subnet}`);
		runIn('router', `ip link set lan${subnet} up`);
	}
	for (const node of nodes) addNode(node);
}

function addNode({ name, subnet, address, pod }: NodePlan): void {
	run(`ip netns add ${name}`);
	forward(name);
	run(`ip link add eth0 netns ${name} type veth peer name to-${name} netns router`);
	runIn('router', `ip link set to-${name} master lan${subnet} up`);
	runIn(name, `ip addr add ${address}/24 dev eth0`);
	runIn(name, 'ip link set eth0 up');
	runIn(name, `ip route add default via 10.0.${subnet}.1 proto static`);
	run(`ip netns add pod-${name}`);
	run(`ip link add eth0 netns pod-${name} type veth peer name cali0 netns ${name}`);
	runIn(`pod-${name}`, `ip addr add ${pod}/32 dev eth0`);
	runIn(`pod-${name}`, 'ip link set eth0 up');
	runIn(`pod-${name}`, 'ip link set lo up');
	runIn(`pod-${name}`, 'ip route add 169.254.1.1 dev eth0');
	runIn(`pod-${name}`, 'ip route add default via 169.254.1.1');
	// The node responds for the pod's gateway, without the usual delay.
	runIn(name, 'sysctl -qw net.ipv4.conf.cali0.proxy_arp=1 net.ipv4.neigh.cali0.proxy_delay=0');
	runIn(name, 'ip link set cali0 up');
	runIn(name, `ip route add ${pod}/32 dev cali0 proto boot`);
}

function forward(namespace: string): void {
	execFileSync('ip', ['netns', 'exec', namespace, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
	runIn(namespace, 'ip link set lo up');
}
