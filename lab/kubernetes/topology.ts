/** A node of the cluster: a kubelet with containerd in its own namespaces. */
export interface ClusterNode {
	readonly name: string;
	readonly address: string;
	readonly rack: Rack;
}

/** A subnet: a bridge, and the router's address in it. */
export interface Rack {
	readonly name: string;
	readonly router: string;
	readonly length: number;
}

/** The cluster as data: two racks, a router between them, nodes. */
export interface ClusterTopology {
	readonly racks: readonly Rack[];
	readonly nodes: readonly ClusterNode[];
	/**
	 * The address of the control plane: on the router, which every node reaches without a route of
	 * bgpmesh.
	 */
	readonly controlPlane: string;
	readonly serviceCidr: string;
	/** The first address of `serviceCidr`: the Service of the API server. */
	readonly apiService: string;
	readonly dnsService: string;
	readonly podCidr: string;
	/** Of the nodes, and of the router, which reflects their routes. */
	readonly asNumber: number;
}

/** `nodes`: two are in one rack each (smoke); the third shares the first rack. */
export function clusterTopology(nodes: 2 | 3): ClusterTopology {
	const [left, right] = [
		{ name: 'rack-1', router: '10.0.1.1', length: 24 },
		{ name: 'rack-2', router: '10.0.2.1', length: 24 },
	];
	const all: readonly ClusterNode[] = [
		{ name: 'node-a', address: '10.0.1.2', rack: left },
		{ name: 'node-b', address: '10.0.2.2', rack: right },
		{ name: 'node-c', address: '10.0.1.3', rack: left },
	];
	return {
		racks: [left, right],
		nodes: all.slice(0, nodes),
		controlPlane: left.router,
		serviceCidr: '10.96.0.0/16',
		apiService: '10.96.0.1',
		dnsService: '10.96.0.10',
		podCidr: '192.168.0.0/16',
		asNumber: 64512,
	};
}

/**
 * Lines for `ip -batch`, run outside and then in each namespace; names get `prefix` in front. Pure.
 */
export function clusterPlumbing({ racks, nodes }: ClusterTopology, prefix: string) {
	const cable = (namespace: string, device: string, port: string) =>
		`link add ${device} netns ${prefix}${namespace} type veth peer name ${port} netns ${prefix}switches`;
	const ports = (rack: Rack) => [
		`${rack.name}-r`,
		...nodes.filter((node) => node.rack.name === rack.name).map(({ name }) => name),
	];
	return {
		namespaces: ['switches', 'router', ...nodes.map(({ name }) => name)],
		cables: [
			...racks.map(({ name }) => cable('router', name, `${name}-r`)),
			...nodes.map(({ name }) => cable(name, 'eth0', name)),
		],
		steps: [
			{
				namespace: 'switches',
				ip: racks.flatMap((rack) => [
					`link add ${rack.name} type bridge`,
					`link set ${rack.name} up`,
					...ports(rack).flatMap((port) => [`link set ${port} master ${rack.name}`, `link set ${port} up`]),
				]),
			},
			{
				namespace: 'router',
				ip: [
					'link set lo up',
					...racks.flatMap(({ name, router, length }) => [
						`addr add ${router}/${length} dev ${name}`,
						`link set ${name} up`,
					]),
				],
			},
			...nodes.map(({ name, address, rack }) => ({
				namespace: name,
				ip: [
					'link set lo up',
					`addr add ${address}/${rack.length} dev eth0`,
					'link set eth0 up',
					`route add default via ${rack.router}`,
				],
			})),
		],
	};
}
