import { stringify } from 'yaml';
import { type LabNode, type LabTopology, sessionsOf } from './topology.ts';

/** The folder for a daemon's files, and the features of its kernel. */
export interface DaemonPlace {
	readonly socket: string;
	/** Is nftables, which guards the tunnel, available? */
	readonly guard: boolean;
}

/**
 * The configuration file of a node's daemon: static blocks, its sessions, and its policies towards
 * the top-of-rack router.
 */
export function daemonConfig(node: LabNode, topology: LabTopology, { socket, guard }: DaemonPlace): string {
	const { asNumber, torAsNumber, pool, servicePrefix, clusterId } = topology;
	return stringify({
		node: node.name,
		bgp: {
			asNumber,
			routerId: node.address,
			...(node.reflector ? { clusterId } : {}),
			peers: [
				...sessionsOf(node, topology).map((other) => ({
					name: other.name,
					address: other.address,
					asNumber,
					localAddress: node.address,
					connectRetrySeconds: 2,
					// One side of each session is passive, as in Calico's mesh: two that connect at
					// once after a restart would collide, and the peer would count the closed
					// connection as a second restart if it was established on it (RFC 4724 §4.2).
					passive: other.address > node.address,
					...(node.reflector && !other.reflector ? { reflectorClient: true } : {}),
				})),
				{
					name: 'tor',
					address: node.subnet.tor,
					asNumber: torAsNumber,
					localAddress: node.address,
					connectRetrySeconds: 2,
					importPolicies: ['services'],
					exportPolicies: ['own-blocks'],
				},
			],
			originate: [node.block],
		},
		policies: {
			'own-blocks': { terms: [{ match: { prefixes: [pool], source: 'local' }, action: 'accept' }] },
			services: { terms: [{ match: { prefixes: [servicePrefix] }, action: 'accept' }] },
		},
		pools: [{ cidr: pool, ipipMode: 'CrossSubnet' }],
		ipip: { guard },
		control: { socket },
		log: { level: 'info', format: 'text' },
	});
}

/** The configuration file of a node's daemon if an API server has all other configuration. */
export function clusterDaemonConfig(
	node: LabNode,
	{
		socket,
		guard,
		folder,
		kubeconfig,
		policy,
	}: DaemonPlace & { readonly folder: string; readonly kubeconfig: string; readonly policy: boolean },
): string {
	return stringify({
		node: node.name,
		datastore: { type: 'kubernetes', kubeconfig, stateDirectory: folder },
		ipip: { guard },
		...(policy ? { networkPolicy: { enforce: true } } : {}),
		// Black holes are found within a few seconds.
		tunnelProbe: { intervalSeconds: 3 },
		control: { socket },
		log: { level: 'info', format: 'text' },
	});
}

/**
 * The configuration of the top-of-rack router, a BIRD: it learns the pod blocks and announces a
 * route to a service.
 */
export function torConfig({ nodes, subnets, asNumber, torAsNumber, pool, servicePrefix }: LabTopology): string {
	const neighbours = nodes.map(({ name, address, subnet }) =>
		[
			`protocol bgp ${name.replace('-', '_')} {`,
			`	local ${subnet.tor} as ${torAsNumber};`,
			`	neighbor ${address} as ${asNumber};`,
			'	connect delay time 1; connect retry time 2; error wait time 1, 4; graceful restart on;',
			`	ipv4 { import where net ~ [ ${pool}+ ]; export where source = RTS_STATIC; };`,
			'}',
		].join('\n'),
	);
	return [
		'log stderr { info, warning, error, fatal, bug };',
		`router id ${subnets[0]?.tor};`,
		'protocol device {}',
		'protocol kernel { ipv4 { export where source = RTS_BGP; }; }',
		`protocol static { ipv4; route ${servicePrefix} unreachable; }`,
		...neighbours,
		'',
	].join('\n');
}
