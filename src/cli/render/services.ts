import type { ServiceEndpointView, ServiceFrontendView, ServicesView, ServiceView } from '../../control/index.ts';
import { count, type ListScreen, paint, type Screen, type Style } from './screen.ts';
import { type Column, facts, TableWriter, table } from './table.ts';

const nameOf = ({ namespace, name }: ServiceView): string => `${namespace}/${name}`;
const atPort = (address: string, port: number): string =>
	address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

const addresses = ({ frontends }: ServiceView, type: ServiceFrontendView['type']): string =>
	[...new Set(frontends.filter((frontend) => frontend.type === type).map(({ address = '' }) => address))].join(',');

const endpointCounts = ({ ports }: ServiceView): { readonly used: number; readonly all: number } => {
	const endpoints = ports.flatMap((port) => port.endpoints);
	return { used: endpoints.filter(({ use }) => use.startsWith('used')).length, all: endpoints.length };
};

const columns: readonly Column<ServiceView>[] = [
	{ title: 'SERVICE', cell: nameOf },
	{ title: 'TYPE', cell: ({ type }) => type },
	{ title: 'CLUSTER IP', cell: (service) => addresses(service, 'cluster-ip') },
	{
		title: 'EXTERNAL',
		cell: (service) =>
			[addresses(service, 'load-balancer-ip'), addresses(service, 'external-ip')]
				.filter((text) => text !== '')
				.join(','),
	},
	{ title: 'PORTS', cell: ({ frontends }) => portsText(frontends) },
	{
		title: 'ENDPOINTS',
		align: 'right',
		cell: (service) => {
			const { used, all } = endpointCounts(service);
			return { text: `${used}/${all}`, style: used === 0 ? 'odd' : 'plain' };
		},
	},
	{
		title: 'ANNOUNCED',
		cell: ({ announcements }) =>
			announcements.map(({ prefix, state }) => (state === 'ready' ? prefix : `${prefix} (draining)`)).join(','),
	},
	{ title: 'KERNEL', cell: ({ programmed }) => (programmed ? undefined : { text: 'not yet', style: 'odd' }) },
];

function portsText(frontends: readonly ServiceFrontendView[]): string {
	const nodePorts = frontends.filter(({ type }) => type === 'node-port').map(({ port }) => port);
	const ports = frontends
		.filter(({ type }) => type === 'cluster-ip')
		.map(({ port, protocol }) => `${port}/${protocol}`);
	return [...new Set(ports), ...new Set(nodePorts.map((port) => `node ${port}`))].join(',');
}

/** All Services, one a line. */
export function servicesScreen(screen: Screen): ListScreen<ServiceView, Omit<ServicesView, 'services'>> {
	const writer = new TableWriter(screen, columns);
	return {
		add: (service) => writer.add(service),
		end: (rest) => `${writer.end()}${writer.count === 0 ? 'No Services.\n' : ''}\n${renderMode(screen, rest)}`,
	};
}

const modes: Readonly<Record<ServicesView['mode'], string>> = {
	proxy: 'This node programs Services.',
	follow: 'Another proxy programs Services; this node announces their addresses.',
	off: 'Services are not followed: services.proxy is false, and BGPConfiguration lists no service addresses.',
};

function renderMode(screen: Screen, { mode, refusal, inSync, ranges }: Omit<ServicesView, 'services'>): string {
	const lines = [
		modes[mode],
		...(refusal === undefined
			? []
			: [
					`${paint(screen, 'bad', 'Services are not programmed')}: another service proxy is on this ` +
						`node: ${refusal.seen.join('; ')}`,
					`  ${paint(screen, 'dim', refusal.hint)}`,
				]),
		...(mode === 'off' || inSync ? [] : [paint(screen, 'odd', 'Services and EndpointSlices are not complete yet.')]),
		...ranges.map(({ prefix, state }) => `Announced as a range: ${prefix}${state === 'ready' ? '' : ' (draining)'}`),
	];
	return `${lines.join('\n')}\n`;
}

const frontendColumns: readonly Column<ServiceFrontendView>[] = [
	{
		title: 'FRONTEND',
		cell: ({ address, port, protocol }) =>
			`${address === undefined ? `node port ${port}` : atPort(address, port)}/${protocol}`,
	},
	{ title: 'KIND', cell: ({ type }) => type },
	{ title: 'FROM PODS', cell: ({ actions }) => styled(actions.pod) },
	{ title: 'FROM THE NODE', cell: ({ actions }) => styled(actions.node) },
	{ title: 'FROM OUTSIDE', cell: ({ actions }) => styled(actions.outside) },
	{ title: 'NEW CONNECTIONS', align: 'right', cell: ({ newConnections }) => newConnections },
	{ title: 'SOURCES', cell: ({ sourceRanges }) => sourceRanges?.join(',') },
	{
		title: '',
		cell: ({ takenBy }) => (takenBy === undefined ? undefined : { text: `${takenBy} has it`, style: 'bad' }),
	},
];

const styled = (text: string): { readonly text: string; readonly style: Style } => ({
	text,
	style: text === 'reject' || text === 'drop' ? 'odd' : 'plain',
});

const endpointColumns: readonly Column<ServiceEndpointView>[] = [
	{ title: 'ENDPOINT', cell: ({ address, port }) => atPort(address, port) },
	{ title: 'NODE', cell: ({ node, local }) => (local ? 'this node' : (node ?? { text: 'unknown', style: 'dim' })) },
	{ title: 'ZONE', cell: ({ zone }) => zone },
	{ title: 'CONNECTIONS', align: 'right', cell: ({ connections }) => connections },
	{ title: 'USE', cell: ({ use }) => ({ text: use, style: use.startsWith('used') ? 'plain' : 'odd' }) },
];

/** Everything about one Service. */
export function renderService(screen: Screen, service: ServiceView): string {
	const { type, internalTrafficPolicy, externalTrafficPolicy, affinitySeconds, programmed, healthCheck } = service;
	const head = facts(screen, [
		['type', type],
		['internal policy', internalTrafficPolicy],
		[
			'external policy',
			type === 'ClusterIP' && externalTrafficPolicy === 'Cluster' ? undefined : externalTrafficPolicy,
		],
		['affinity', affinitySeconds === undefined ? undefined : `ClientIP, ${count(affinitySeconds, 'second')}`],
		['health check', healthCheck && `port ${healthCheck.port}, ${count(healthCheck.localEndpoints, 'local endpoint')}`],
		['kernel', programmed ? 'up to date' : { text: 'not yet', style: 'odd' }],
		['announced', announcedText(service)],
		['handed over', handoverText(service)],
	]);
	const ports = service.ports.map(({ name, port, protocol, family, topology, endpoints }) => {
		const title =
			`Port ${port}/${protocol}${name === '' ? '' : ` (${name})`}, ` +
			`${family}${topology === 'none' ? '' : `, hints keep traffic in this ${topology}`}`;
		const none = 'No endpoints: new connections are rejected.\n';
		return `\n${title}\n${endpoints.length === 0 ? none : table(screen, endpointColumns, endpoints)}`;
	});
	const problems = service.problems.map((problem) => `${paint(screen, 'odd', 'note')} ${problem}\n`);
	return [
		`${paint(screen, 'bold', nameOf(service))}\n${head}\n`,
		table(screen, frontendColumns, service.frontends),
		...ports,
		...(problems.length === 0 ? [] : ['\n', ...problems]),
	].join('');
}

const announcedText = ({ announcements }: ServiceView): string =>
	announcements.length === 0
		? 'nowhere by this node'
		: announcements.map(({ prefix, state }) => (state === 'ready' ? prefix : `${prefix} draining`)).join(', ');

const handoverText = ({ handover }: ServiceView): string | undefined =>
	handover
		?.map(
			({ address, port, peers, secondsLeft }) =>
				`unknown connections to ${atPort(address, port)} go to ${peers.join(', ')} for ${count(secondsLeft, 'second')}`,
		)
		.join('; ');
