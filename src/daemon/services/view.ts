import type {
	ServiceEndpointView,
	ServiceFrontendView,
	ServicePortView,
	ServicesView,
	ServiceView,
} from '../../control/index.ts';
import {
	type Announced,
	type BackendConnections,
	type Candidate,
	chooseEndpoints,
	connectionsOf,
	type EndpointUse,
	type Frontend,
	type FrontendAction,
	type FrontendKey,
	type KnownService,
	type OpenHandoverWindow,
	type ServiceConnections,
	type ServiceNode,
	type ServicePortKey,
	type ServicesState,
	servicePortKey,
	useOf,
} from '../../services/index.ts';

/** The inputs of the view. */
export interface ServicesViewInput {
	readonly mode: ServicesView['mode'];
	readonly refusal: ServicesView['refusal'];
	readonly inSync: boolean;
	readonly state: ServicesState | undefined;
	readonly isProgrammed: (service: string) => boolean;
	readonly announced: Iterable<Announced>;
	/** Open windows of connections that routers move. */
	readonly windows: readonly OpenHandoverWindow[];
	/** What the kernel counts; absent: not read. */
	readonly traffic?: ServiceTraffic;
}

/** What the kernel counts for Services. */
export interface ServiceTraffic {
	/** New connections by frontend. */
	readonly frontends: ReadonlyMap<FrontendKey, number>;
	readonly connections: readonly ServiceConnections[];
}

const useText: Readonly<Record<EndpointUse, string>> = {
	used: 'used',
	'used-except-local': 'used, but not where policy Local holds: it is on another node',
	'not-ready': 'not ready',
	'terminating-not-serving': 'terminating, does not serve any more',
	'terminating-others-ready': 'terminating, others are ready',
	'other-node-by-hint': 'hints keep the traffic on this node',
	'other-zone-by-hint': 'hints keep the traffic in this zone',
	remote: 'on another node, and policy Local holds',
};

/**
 * The Services at this node; with `name` (`NAME`, `NAMESPACE/NAME`, or an address) the matching
 * ones. Pure.
 */
export function servicesView(input: ServicesViewInput, name?: string): ServicesView {
	const { state, mode, refusal, inSync } = input;
	const announced = [...input.announced].map(({ prefix, kind, services, state: how }) => ({
		prefix,
		kind,
		state: how,
		services,
	}));
	const known = state === undefined ? [] : [...state.services].sort().flatMap((key) => state.service(key) ?? []);
	const losers = new Map(
		[...(state?.conflicts ?? [])].flatMap(([key, services]) => services.map((service) => [`${key} ${service}`, key])),
	);
	const { traffic } = input;
	const connections =
		traffic === undefined || state === undefined ? undefined : connectionsOf(state.model, traffic.connections);
	return {
		mode,
		...(refusal === undefined ? {} : { refusal }),
		inSync,
		ranges: announced.filter(({ kind }) => kind === 'range'),
		services: known
			.filter((service) => name === undefined || matches(service, name))
			.map((service) => {
				const { key } = service.spec;
				return serviceView(service, {
					node: state?.node ?? { name: '', primary: {} },
					programmed: input.isProgrammed(key),
					announcements: announced.filter(({ services }) => services.includes(key)),
					windows: input.windows,
					connections,
					newConnections: traffic?.frontends,
					takenBy: (frontend) =>
						losers.has(`${frontend.key} ${key}`) ? state?.model.frontends.get(frontend.key)?.service : undefined,
				});
			}),
	};
}

const matches = ({ spec, compiled }: KnownService, name: string): boolean =>
	spec.key === name ||
	spec.name === name ||
	compiled.frontends.some((frontend) => frontend.type !== 'node-port' && frontend.address === name);

interface ServiceContext {
	readonly node: ServiceNode;
	readonly programmed: boolean;
	readonly announcements: ServiceView['announcements'];
	readonly windows: readonly OpenHandoverWindow[];
	/** By service port; `undefined`: not read. */
	readonly connections: ReadonlyMap<ServicePortKey, BackendConnections> | undefined;
	readonly newConnections: ReadonlyMap<FrontendKey, number> | undefined;
	readonly takenBy: (frontend: Frontend) => string | undefined;
}

function serviceView({ spec, slices, compiled }: KnownService, context: ServiceContext): ServiceView {
	const { node, programmed, announcements } = context;
	const sizes = new Map(compiled.pools.map(({ key, backends }) => [key, backends.length]));
	const ports = (['ipv4', 'ipv6'] as const)
		.filter((family) => spec.clusterIps[family] !== undefined)
		.flatMap((family) =>
			spec.ports.map((port): ServicePortView => {
				const choice = chooseEndpoints(spec, port, family, slices, node);
				const endpoints = choice.all.map((candidate) => endpointView(candidate, useText[useOf(choice, candidate)]));
				const connections = context.connections?.get(servicePortKey(spec, port, family));
				return {
					name: port.name,
					port: port.port,
					protocol: port.protocol,
					family,
					topology: choice.topology,
					endpoints: context.connections === undefined ? endpoints : withConnections(endpoints, connections),
				};
			}),
		);
	return {
		namespace: spec.namespace,
		name: spec.name,
		type: spec.type,
		internalTrafficPolicy: spec.internalLocal ? 'Local' : 'Cluster',
		externalTrafficPolicy: spec.externalLocal ? 'Local' : 'Cluster',
		...(spec.affinityTimeoutSeconds === undefined ? {} : { affinitySeconds: spec.affinityTimeoutSeconds }),
		programmed,
		frontends: compiled.frontends.map((frontend) => frontendView(frontend, sizes, context)),
		ports,
		announcements,
		...(compiled.healthCheck === undefined
			? {}
			: { healthCheck: { port: compiled.healthCheck.port, localEndpoints: compiled.healthCheck.localEndpoints } }),
		...handoverOf(compiled.frontends, context.windows),
		problems: problemsOf(spec),
	};
}

/** The windows of a Service's own addresses. */
function handoverOf(
	frontends: readonly Frontend[],
	windows: readonly OpenHandoverWindow[],
): Pick<ServiceView, 'handover'> {
	const own = windows.filter(({ address, port }) =>
		frontends.some(
			(frontend) => frontend.type !== 'node-port' && frontend.address === address && frontend.port === port,
		),
	);
	return own.length === 0
		? {}
		: { handover: own.map(({ address, port, peers, secondsLeft }) => ({ address, port, peers, secondsLeft })) };
}

function endpointView({ address, port, local, endpoint }: Candidate, use: string): ServiceEndpointView {
	return {
		address,
		port,
		...(endpoint.node === undefined ? {} : { node: endpoint.node }),
		local,
		...(endpoint.zone === undefined ? {} : { zone: endpoint.zone }),
		use,
	};
}

/**
 * The endpoints with their connections, and those that have left the slices while connections to
 * them exist.
 */
function withConnections(
	endpoints: readonly ServiceEndpointView[],
	connections: BackendConnections = new Map(),
): ServiceEndpointView[] {
	const left = new Map(connections);
	const known = endpoints.map((endpoint): ServiceEndpointView => {
		const key = `${endpoint.address} ${endpoint.port}`;
		left.delete(key);
		return { ...endpoint, connections: connections.get(key) ?? 0 };
	});
	const gone = [...left].map(([key, count]): ServiceEndpointView => {
		const [address = '', port = ''] = key.split(' ');
		return { address, port: Number(port), local: false, use: 'in no EndpointSlice any more', connections: count };
	});
	return [...known, ...gone];
}

function frontendView(
	frontend: Frontend,
	sizes: ReadonlyMap<string, number>,
	{ takenBy: takenByOf, newConnections }: ServiceContext,
): ServiceFrontendView {
	const takenBy = takenByOf(frontend);
	const connections = newConnections?.get(frontend.key);
	const { type, protocol, port, actions } = frontend;
	const text = (action: FrontendAction): string => {
		if (action.type !== 'dnat') return action.type;
		const count = sizes.get(action.pool) ?? 0;
		const where = action.pool.endsWith('#local') ? 'local ' : '';
		return `to ${count} ${where}endpoint${count === 1 ? '' : 's'}${action.masquerade ? ', masqueraded' : ''}`;
	};
	return {
		type,
		...(frontend.type === 'node-port' ? {} : { address: frontend.address }),
		protocol,
		port,
		actions: { pod: text(actions.pod), node: text(actions.node), outside: text(actions.outside) },
		...(frontend.type === 'node-port' || frontend.sourceRanges === undefined
			? {}
			: { sourceRanges: frontend.sourceRanges }),
		...(takenBy === undefined ? {} : { takenBy }),
		// The counter is that of the Service which has the address.
		...(connections === undefined || takenBy !== undefined ? {} : { newConnections: connections }),
	};
}

function problemsOf(spec: KnownService['spec']): string[] {
	const families = (['ipv4', 'ipv6'] as const).filter((family) => spec.clusterIps[family] !== undefined);
	const open =
		spec.sourceRanges.length === 0
			? []
			: families.filter((family) => !spec.sourceRanges.some((range) => range.includes(':') === (family === 'ipv6')));
	return [
		...spec.unreadable.map((text) => `'${text}' does not parse and has no effect`),
		...open.map(
			(family) =>
				`loadBalancerSourceRanges has no ${family} range: every ${family} source may connect, as with kube-proxy`,
		),
		...spec.ingress
			.filter(({ isVip }) => !isVip)
			.map(
				({ address }) => `${address} has ipMode Proxy: packets go to the load balancer, not through this node's rules`,
			),
	];
}
