import type { LabTopology } from './topology.ts';

/** Commands for one network namespace: a batch for `ip`, then kernel settings. */
export interface PlumbingStep {
	/** Without the laboratory's prefix. */
	readonly namespace: string;
	readonly ip: readonly string[];
	readonly sysctls: readonly string[];
}

/**
 * The network of the laboratory, as commands. Names of namespaces get `prefix` in front, so that
 * two laboratories never collide.
 */
export interface Plumbing {
	readonly namespaces: readonly string[];
	/**
	 * `ip` batch lines for the caller's own namespace: cables, whose ends are in two namespaces.
	 */
	readonly cables: readonly string[];
	readonly steps: readonly PlumbingStep[];
}

/** The link-local next hop of pods, resolved by proxy ARP; the same one that Calico uses. */
const podGateway = '169.254.1.1';

/**
 * Pure: returns commands only. The router gets only routes to its own two subnets. With `cni` the
 * plugins configure the pods.
 */
export function plumbing({ subnets, nodes, serviceAddress }: LabTopology, prefix: string, cni = false): Plumbing {
	const cable = (device: string, namespace: string, otherDevice: string, otherNamespace: string) =>
		`link add ${device} netns ${prefix}${namespace} type veth peer name ${otherDevice} netns ` +
		`${prefix}${otherNamespace}`;
	const switches: PlumbingStep = {
		namespace: 'switches',
		ip: subnets.flatMap(({ name }) => [
			`link add ${name} type bridge`,
			`link set ${name} up`,
			...[
				`${name}-r`,
				`${name}-t`,
				...nodes.filter(({ subnet }) => subnet.name === name).map((node) => node.name),
			].flatMap((port) => [`link set ${port} master ${name}`, `link set ${port} up`]),
		]),
		sysctls: [],
	};
	// The top-of-rack router serves both racks and forwards nothing between them.
	const router: PlumbingStep = {
		namespace: 'router',
		ip: [
			'link set lo up',
			...subnets.flatMap(({ name, router, length }) => [
				`addr add ${router}/${length} dev ${name}`,
				`link set ${name} up`,
			]),
		],
		sysctls: ['net.ipv4.ip_forward=1'],
	};
	const tor: PlumbingStep = {
		namespace: 'tor',
		ip: [
			'link set lo up',
			`addr add ${serviceAddress}/32 dev lo`,
			...subnets.flatMap(({ name, tor, length }) => [`addr add ${tor}/${length} dev ${name}`, `link set ${name} up`]),
		],
		sysctls: ['net.ipv4.ip_forward=0'],
	};
	const nodeSteps = nodes.map(({ name, address, subnet, pod }) => ({
		namespace: name,
		ip: [
			'link set lo up',
			`addr add ${address}/${subnet.length} dev eth0`,
			'link set eth0 up',
			`route add default via ${subnet.router}`,
			...(cni ? [] : [`link set ${pod.device} up`, `route add ${pod.address}/32 dev ${pod.device}`]),
		],
		// With the default delay, the first reply to a pod's ARP request is late.
		sysctls: [
			'net.ipv4.ip_forward=1',
			...(cni ? [] : [`net.ipv4.conf.${pod.device}.proxy_arp=1`, `net.ipv4.neigh.${pod.device}.proxy_delay=0`]),
		],
	}));
	const podSteps = nodes.map(({ pod }) => ({
		namespace: pod.name,
		ip: [
			'link set lo up',
			...(cni
				? []
				: [
						`addr add ${pod.address}/32 dev eth0`,
						'link set eth0 up',
						`route add ${podGateway} dev eth0 scope link`,
						`route add default via ${podGateway}`,
					]),
		],
		sysctls: [],
	}));
	return {
		namespaces: ['switches', 'router', 'tor', ...nodes.map(({ name }) => name), ...nodes.map(({ pod }) => pod.name)],
		cables: [
			...subnets.flatMap(({ name }) => [
				cable(name, 'router', `${name}-r`, 'switches'),
				cable(name, 'tor', `${name}-t`, 'switches'),
			]),
			...nodes.flatMap(({ name, pod }) => [
				cable('eth0', name, name, 'switches'),
				...(cni ? [] : [cable('eth0', pod.name, pod.device, name)]),
			]),
		],
		steps: [switches, router, tor, ...nodeSteps, ...podSteps],
	};
}
