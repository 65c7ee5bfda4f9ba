import { type Family, type PrefixKey, parseAddress, parsePrefix, prefixContains } from '../../core/index.ts';
import {
	addressFrontendKey,
	type Backend,
	type Frontend,
	type FrontendAction,
	type HealthCheck,
	nodePortFrontendKey,
	type Origin,
	type Pool,
	type ServicePortKey,
	type ServicesSettings,
} from '../model.ts';
import { familyOfAddress } from '../resources/addresses.ts';
import type { EndpointSlice } from '../resources/endpoint-slice.ts';
import type { ServiceSpec, ServiceSpecPort } from '../resources/service.ts';
import {
	type Candidate,
	chooseEndpoints,
	type EndpointChoice,
	localEndpoints,
	type NodeTopology,
} from './endpoints.ts';

/** This node, as far as services depend on it. */
export interface ServiceNode extends NodeTopology {
	/**
	 * Primary address per family (Node status InternalIP); load balancer source ranges that hold it
	 * admit the load balancer's addresses.
	 */
	readonly primary: Readonly<Partial<Record<Family, string>>>;
}

/** One Service's part of the model, before numbers and conflicts. */
export interface CompiledService {
	readonly pools: readonly Pool[];
	readonly frontends: readonly Frontend[];
	readonly clusterIps: readonly string[];
	readonly healthCheck?: HealthCheck;
	/**
	 * Of UDP ports: `ADDRESS PORT` of each endpoint that serves, also terminating ones; flows to
	 * others are stale.
	 */
	readonly servingUdp: ReadonlyMap<ServicePortKey, ReadonlySet<string>>;
}

/** The key of one port of a service in one family. */
export const servicePortKey = (spec: ServiceSpec, port: ServiceSpecPort, family: Family): ServicePortKey =>
	`${spec.key}:${port.port}/${port.protocol}@${family}`;

/**
 * Resolves policies, hints and conditions of one Service for one node. Kubernetes
 * `pkg/proxy/nftables` syncProxyRules, as values.
 */
export function compileService(
	spec: ServiceSpec,
	slices: readonly EndpointSlice[],
	node: ServiceNode,
	settings: ServicesSettings,
): CompiledService {
	const pools: Pool[] = [];
	const frontends: Frontend[] = [];
	const clusterIps: string[] = [];
	const servingUdp = new Map<ServicePortKey, ReadonlySet<string>>();
	for (const family of ['ipv4', 'ipv6'] as const) {
		const clusterIp = spec.clusterIps[family];
		// A service without a cluster IP of the family is none in it, with all its other addresses.
		if (clusterIp === undefined) continue;
		clusterIps.push(clusterIp);
		for (const port of spec.ports) {
			const choice = chooseEndpoints(spec, port, family, slices, node);
			const made = compilePort({ spec, port, family, clusterIp, choice, node, settings });
			frontends.push(...made.frontends);
			pools.push(...made.pools);
			if (port.protocol === 'udp') servingUdp.set(servicePortKey(spec, port, family), servingOf(choice));
		}
	}
	const healthCheck = healthCheckOf(spec, slices, node);
	return { pools, frontends, clusterIps, servingUdp, ...(healthCheck === undefined ? {} : { healthCheck }) };
}

const servingOf = ({ all }: EndpointChoice): ReadonlySet<string> =>
	new Set(
		all.filter(({ endpoint }) => endpoint.ready || endpoint.serving).map(({ address, port }) => `${address} ${port}`),
	);

interface PortInput {
	readonly spec: ServiceSpec;
	readonly port: ServiceSpecPort;
	readonly family: Family;
	readonly clusterIp: string;
	readonly choice: EndpointChoice;
	readonly node: ServiceNode;
	readonly settings: ServicesSettings;
}

function compilePort(input: PortInput): Pick<CompiledService, 'pools' | 'frontends'> {
	const { spec, port, family, clusterIp } = input;
	const servicePort = servicePortKey(spec, port, family);
	const common = { servicePort, service: spec.key, family, protocol: port.protocol };
	const internal = internalActions(input, servicePort);
	const external = externalActions(input, servicePort);
	const direct = directEndpoints(input);
	const directPool = direct.length === 0 ? {} : { directPool: localPool(servicePort) };
	const ofFamily = (address: string): boolean => familyOfAddress(address) === family;
	const at = (type: 'cluster-ip' | 'external-ip', address: string, actions: Frontend['actions']): Frontend => ({
		...common,
		key: addressFrontendKey(address, port.protocol, port.port),
		type,
		address,
		port: port.port,
		actions,
	});
	const vips = spec.ingress.flatMap(({ address, isVip }) => (isVip && ofFamily(address) ? [address] : []));
	const sourceRanges = sourceRangesOf(input, vips);
	const frontends: Frontend[] = [
		at('cluster-ip', clusterIp, internal),
		...spec.externalIps.filter(ofFamily).map((address) => ({ ...at('external-ip', address, external), ...directPool })),
		...vips.map(
			(address): Frontend => ({
				...common,
				key: addressFrontendKey(address, port.protocol, port.port),
				type: 'load-balancer-ip',
				address,
				port: port.port,
				actions: external,
				...directPool,
				...(sourceRanges === undefined ? {} : { sourceRanges }),
			}),
		),
	];
	if (port.nodePort !== undefined) {
		const key = nodePortFrontendKey(family, port.protocol, port.nodePort);
		frontends.push({ ...common, key, type: 'node-port', port: port.nodePort, actions: external, ...directPool });
	}
	return { frontends, pools: poolsOf(input, servicePort, frontends) };
}

const clusterPool = (servicePort: ServicePortKey) => `${servicePort}#cluster`;
const localPool = (servicePort: ServicePortKey) => `${servicePort}#local`;

const everyOrigin = (action: FrontendAction): Frontend['actions'] => ({ pod: action, node: action, outside: action });

/**
 * What happens at the cluster IP: internalTrafficPolicy; masqueraded where the source is not a pod.
 */
function internalActions({ spec, choice, settings }: PortInput, servicePort: ServicePortKey): Frontend['actions'] {
	if (!choice.hasAny) return everyOrigin({ type: 'reject' });
	const backends = spec.internalLocal ? choice.local : choice.cluster;
	if (backends.length === 0) return everyOrigin({ type: 'drop' });
	const pool = spec.internalLocal ? localPool(servicePort) : clusterPool(servicePort);
	const to = (masquerade: boolean): FrontendAction => ({ type: 'dnat', pool, masquerade });
	if (settings.masqueradeAll) return everyOrigin(to(true));
	// Without local detection a pod cannot be distinguished from other sources, and none is
	// masqueraded.
	if (settings.podRanges === undefined) return everyOrigin(to(false));
	return { pod: to(false), node: to(true), outside: to(true) };
}

/** What happens at node ports, external and load balancer addresses: externalTrafficPolicy. */
function externalActions({ spec, choice, settings }: PortInput, servicePort: ServicePortKey): Frontend['actions'] {
	if (!choice.hasAny) return everyOrigin({ type: 'reject' });
	const cluster = (masquerade: boolean): FrontendAction =>
		choice.cluster.length === 0 ? { type: 'drop' } : { type: 'dnat', pool: clusterPool(servicePort), masquerade };
	if (!spec.externalLocal) return everyOrigin(cluster(true));
	// Policy Local keeps the source of connections from outside; those from inside take the short
	// circuit to all endpoints.
	const outside: FrontendAction =
		choice.local.length === 0 ? { type: 'drop' } : { type: 'dnat', pool: localPool(servicePort), masquerade: false };
	const pod = settings.podRanges === undefined ? outside : cluster(false);
	return { pod, node: cluster(true), outside };
}

/** Endpoints for connections that another node sends here untranslated. */
const directEndpoints = ({ spec, choice, settings }: PortInput): readonly Candidate[] =>
	settings.directReturn === undefined || spec.externalLocal ? [] : localEndpoints(choice.all);

/**
 * The ranges of the family; `undefined`: no restriction. A list of the other family alone restricts
 * nothing, as in kube-proxy.
 */
function sourceRangesOf({ spec, family, node }: PortInput, vips: readonly string[]): readonly PrefixKey[] | undefined {
	const prefixes = spec.sourceRanges.map((text) => ({ text, prefix: parsePrefix(text) }));
	const ranges = prefixes.filter(({ prefix }) => prefix.family === family);
	if (ranges.length === 0) return undefined;
	const own = node.primary[family];
	// The node may use the load balancer's address as its source, where that address is on one of its
	// interfaces.
	const admitsNode = own !== undefined && ranges.some(({ prefix }) => prefixContains(prefix, parseAddress(own)));
	const bits = family === 'ipv4' ? 32 : 128;
	// Both parts are canonical.
	const admitted = admitsNode ? vips.map((address) => `${address}/${bits}` as PrefixKey) : [];
	return [...ranges.map(({ text }) => text), ...admitted];
}

/** The pools that the frontends use. */
function poolsOf(input: PortInput, servicePort: ServicePortKey, frontends: readonly Frontend[]): Pool[] {
	const { spec, port, family, choice, settings } = input;
	const direct = directEndpoints(input);
	const used = new Set<string>();
	for (const { actions, directPool } of frontends) {
		for (const origin of origins) {
			const action = actions[origin];
			if (action.type === 'dnat') used.add(action.pool);
		}
		if (directPool !== undefined) used.add(directPool);
	}
	const pool = (key: string, backends: readonly Candidate[]): Pool[] =>
		used.has(key)
			? [
					{
						key,
						servicePort,
						family,
						protocol: port.protocol,
						backends: backends.map(
							({ address, port: number, local, endpoint }): Backend => ({
								...{ address, port: number, local },
								...(settings.directReturn === undefined || endpoint.node === undefined ? {} : { node: endpoint.node }),
							}),
						),
						...(spec.affinityTimeoutSeconds === undefined
							? {}
							: { affinityTimeoutSeconds: spec.affinityTimeoutSeconds }),
					},
				]
			: [];
	return [
		...pool(clusterPool(servicePort), choice.cluster),
		...pool(localPool(servicePort), direct.length > 0 ? direct : choice.local),
	];
}

const origins: readonly Origin[] = ['pod', 'node', 'outside'];

/**
 * Pods count, not pairs of pod and port; only ready ones, so that a load balancer leaves a node
 * whose last pod terminates.
 */
function healthCheckOf(
	spec: ServiceSpec,
	slices: readonly EndpointSlice[],
	node: NodeTopology,
): HealthCheck | undefined {
	if (spec.healthCheckNodePort === undefined) return undefined;
	const addresses = new Set<string>();
	for (const slice of slices)
		if (spec.clusterIps[slice.family] !== undefined && hasPortOf(spec, slice))
			for (const endpoint of slice.endpoints)
				if (endpoint.ready && endpoint.node === node.name) addresses.add(`${slice.family} ${endpoint.address}`);
	// A dual-stack pod has an address in each family and is one pod: the larger family counts.
	const count = (family: Family) => [...addresses].filter((key) => key.startsWith(family)).length;
	return {
		service: spec.key,
		port: spec.healthCheckNodePort,
		localEndpoints: Math.max(count('ipv4'), count('ipv6')),
	};
}

const hasPortOf = (spec: ServiceSpec, slice: EndpointSlice): boolean =>
	spec.ports.some(({ name, protocol }) => slice.ports.some((port) => port.name === name && port.protocol === protocol));
