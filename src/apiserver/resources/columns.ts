import {
	arrayAt,
	at,
	isArray,
	type JsonObject,
	type JsonValue,
	objectAt,
	stringifyJson,
	textAt,
} from '../../json/index.ts';
import type { Column } from './types.ts';

/** A duration as kubectl prints it: `5s`, `3m20s`, `5h`, `12d`, `2y`. */
function age(milliseconds: number): string {
	const seconds = Math.floor(milliseconds / 1000);
	if (seconds < -1) return '<invalid>';
	if (seconds < 0) return '0s';
	if (seconds < 120) return `${seconds}s`;
	const minutes = Math.floor(seconds / 60);
	if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
	if (minutes < 180) return `${minutes}m`;
	const hours = Math.floor(minutes / 60);
	if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
	if (hours < 48) return `${hours}h`;
	const days = Math.floor(hours / 24);
	if (hours < 192) return two(days, 'd', hours % 24, 'h');
	if (days < 365 * 2) return `${days}d`;
	const years = Math.floor(days / 365);
	return days < 365 * 8 ? two(years, 'y', days % 365, 'd') : `${years}y`;
}

const two = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
	`${large}${largeUnit}${small === 0 ? '' : `${small}${smallUnit}`}`;

/** A cell with the age of a time stamp. */
export function ageCell(stamp: JsonValue | undefined, nowMs: number): string {
	if (typeof stamp !== 'string') return '<unknown>';
	const atMs = Date.parse(stamp);
	return Number.isNaN(atMs) ? '<invalid>' : age(nowMs - atMs);
}

const text = (value: JsonValue | undefined, otherwise: string): string =>
	value === undefined || value === null || value === '' ? otherwise : cellText(value);

/** Converts a non-text cell to text. */
function cellText(value: JsonValue): string {
	return typeof value === 'string' ? value : stringifyJson(value);
}

const column = (name: string, value: (object: JsonObject) => JsonValue, priority = 0): Column => ({
	name,
	type: 'string',
	...(name === 'Name' ? { format: 'name' } : {}),
	priority,
	value,
});

export const nameColumn: Column = column('Name', (object) => textAt(object, 'metadata', 'name') ?? '');
const ageColumn: Column = {
	name: 'Age',
	type: 'string',
	priority: 0,
	value: (object, nowMs) => ageCell(at(object, 'metadata', 'creationTimestamp'), nowMs),
};

/** The columns of a resource without its own columns. */
export const plainColumns: readonly Column[] = [
	nameColumn,
	{
		...ageColumn,
		type: 'date',
		name: 'Created At',
		value: (object) => textAt(object, 'metadata', 'creationTimestamp') ?? null,
	},
];

/** The columns of `kubectl get --subresource=scale`. */
export const scaleColumns: readonly Column[] = [
	nameColumn,
	{ ...column('Desired', (object) => at(object, 'spec', 'replicas') ?? 0), type: 'integer' },
	{ ...column('Available', (object) => at(object, 'status', 'replicas') ?? 0), type: 'integer' },
	ageColumn,
];

/** Columns of the built-in kinds, by plural name. */
export const builtInColumns: Readonly<Record<string, readonly Column[]>> = {
	namespaces: [nameColumn, column('Status', (object) => text(at(object, 'status', 'phase'), '')), ageColumn],
	nodes: [
		nameColumn,
		column('Status', nodeStatus),
		column('Roles', nodeRoles),
		ageColumn,
		column('Version', (object) => text(at(object, 'status', 'nodeInfo', 'kubeletVersion'), '')),
		column('Internal-IP', (object) => nodeAddress(object, 'InternalIP'), 1),
		column('External-IP', (object) => nodeAddress(object, 'ExternalIP'), 1),
		column('OS-Image', (object) => text(at(object, 'status', 'nodeInfo', 'osImage'), '<unknown>'), 1),
		column('Kernel-Version', (object) => text(at(object, 'status', 'nodeInfo', 'kernelVersion'), '<unknown>'), 1),
		column(
			'Container-Runtime',
			(object) => text(at(object, 'status', 'nodeInfo', 'containerRuntimeVersion'), '<unknown>'),
			1,
		),
	],
	pods: [
		nameColumn,
		column('Ready', (object) => {
			const ready = arrayAt(object, 'status', 'containerStatuses').filter((status) => at(status, 'ready') === true);
			return `${ready.length}/${arrayAt(object, 'spec', 'containers').length}`;
		}),
		column('Status', podStatus),
		{ ...column('Restarts', podRestarts) },
		ageColumn,
		column('IP', (object) => text(at(object, 'status', 'podIP'), '<none>'), 1),
		column('Node', (object) => text(at(object, 'spec', 'nodeName'), '<none>'), 1),
		column('Nominated Node', (object) => text(at(object, 'status', 'nominatedNodeName'), '<none>'), 1),
		column('Readiness Gates', () => '<none>', 1),
	],
	services: [
		nameColumn,
		column('Type', (object) => text(at(object, 'spec', 'type'), '')),
		column('Cluster-IP', (object) => text(at(object, 'spec', 'clusterIP'), '<none>')),
		column('External-IP', serviceExternal),
		column('Port(s)', servicePorts),
		ageColumn,
		column('Selector', (object) => labelText(objectAt(object, 'spec', 'selector')), 1),
	],
	secrets: [
		nameColumn,
		column('Type', (object) => text(at(object, 'type'), '')),
		{ ...column('Data', (object) => Object.keys(objectAt(object, 'data')).length) },
		ageColumn,
	],
	configmaps: [
		nameColumn,
		{
			...column(
				'Data',
				(object) => Object.keys(objectAt(object, 'data')).length + Object.keys(objectAt(object, 'binaryData')).length,
			),
		},
		ageColumn,
	],
	serviceaccounts: [nameColumn, { ...column('Secrets', (object) => arrayAt(object, 'secrets').length) }, ageColumn],
	leases: [nameColumn, column('Holder', (object) => text(at(object, 'spec', 'holderIdentity'), '')), ageColumn],
	endpoints: [nameColumn, column('Endpoints', endpointsText), ageColumn],
	endpointslices: [
		nameColumn,
		column('AddressType', (object) => text(at(object, 'addressType'), '')),
		column(
			'Ports',
			(object) =>
				arrayAt(object, 'ports')
					.map((port) => text(at(port, 'port'), '*'))
					.join(',') || '<unset>',
		),
		column(
			'Endpoints',
			(object) =>
				arrayAt(object, 'endpoints')
					.flatMap((endpoint) => arrayAt(endpoint, 'addresses'))
					.join(',') || '<unset>',
		),
		ageColumn,
	],
	events: [
		column('Last Seen', () => ''),
		column('Type', (object) => text(at(object, 'type'), '')),
		column('Reason', (object) => text(at(object, 'reason'), '')),
		column('Object', (object) => {
			const involved = at(object, 'involvedObject');
			return `${text(at(involved, 'kind'), '').toLowerCase()}/${text(at(involved, 'name'), '')}`;
		}),
		column('Subobject', (object) => text(at(object, 'involvedObject', 'fieldPath'), ''), 1),
		column(
			'Source',
			(object) =>
				[
					textAt(object, 'source', 'component') ?? textAt(object, 'reportingComponent'),
					textAt(object, 'source', 'host'),
				]
					.filter(Boolean)
					.join(', '),
			1,
		),
		column('Message', (object) => text(at(object, 'message'), '').trim()),
		{
			...column('First Seen', () => '', 1),
			value: (object: JsonObject, nowMs: number) =>
				ageCell(at(object, 'firstTimestamp') ?? at(object, 'eventTime'), nowMs),
		},
		{ ...column('Count', (object) => at(object, 'series', 'count') ?? at(object, 'count') ?? 1, 1) },
		{ ...nameColumn, priority: 1 },
	].map((shown) =>
		shown.name === 'Last Seen'
			? { ...shown, value: (object: JsonObject, nowMs: number) => ageCell(lastSeen(object), nowMs) }
			: shown,
	),
	networkpolicies: [
		nameColumn,
		column('Pod-Selector', (object) => labelText(objectAt(object, 'spec', 'podSelector', 'matchLabels'))),
		ageColumn,
	],
	rolebindings: bindingColumns(),
	clusterrolebindings: bindingColumns(),
	customresourcedefinitions: plainColumns,
};

function lastSeen(object: JsonObject): JsonValue | undefined {
	return (
		at(object, 'series', 'lastObservedTime') ??
		at(object, 'lastTimestamp') ??
		at(object, 'eventTime') ??
		at(object, 'metadata', 'creationTimestamp')
	);
}

const labelText = (labels: JsonObject): string =>
	Object.entries(labels)
		.map(([key, value]) => `${key}=${text(value, '')}`)
		.sort()
		.join(',') || '<none>';

function nodeStatus(object: JsonObject): string {
	const ready = arrayAt(object, 'status', 'conditions').find((condition) => at(condition, 'type') === 'Ready');
	const status = ready === undefined ? 'Unknown' : at(ready, 'status') === 'True' ? 'Ready' : 'NotReady';
	return at(object, 'spec', 'unschedulable') === true ? `${status},SchedulingDisabled` : status;
}

function nodeRoles(object: JsonObject): string {
	const roles = Object.entries(objectAt(object, 'metadata', 'labels')).flatMap(([key, value]) => {
		if (key.startsWith('node-role.kubernetes.io/')) return [key.slice('node-role.kubernetes.io/'.length)];
		return key === 'kubernetes.io/role' && typeof value === 'string' ? [value] : [];
	});
	return (
		roles
			.filter((role) => role !== '')
			.sort()
			.join(',') || '<none>'
	);
}

function nodeAddress(object: JsonObject, type: string): string {
	return text(
		arrayAt(object, 'status', 'addresses')
			.map((address) => (at(address, 'type') === type ? textAt(address, 'address') : undefined))
			.find((address) => address !== undefined),
		'<none>',
	);
}

function podStatus(object: JsonObject): string {
	if (at(object, 'metadata', 'deletionTimestamp') !== undefined) return 'Terminating';
	const waiting = arrayAt(object, 'status', 'containerStatuses').map(
		(status) => textAt(status, 'state', 'waiting', 'reason') ?? textAt(status, 'state', 'terminated', 'reason'),
	);
	return (
		waiting.find((reason) => reason !== undefined) ??
		text(at(object, 'status', 'reason') ?? at(object, 'status', 'phase'), '')
	);
}

function podRestarts(object: JsonObject): string {
	return String(
		arrayAt(object, 'status', 'containerStatuses').reduce<number>(
			(sum, status) => sum + Number(at(status, 'restartCount') ?? 0),
			0,
		),
	);
}

function serviceExternal(object: JsonObject): string {
	if (at(object, 'spec', 'type') === 'ExternalName') return text(at(object, 'spec', 'externalName'), '<none>');
	const balanced = arrayAt(object, 'status', 'loadBalancer', 'ingress').flatMap(
		(ingress) => textAt(ingress, 'ip') ?? textAt(ingress, 'hostname') ?? [],
	);
	const all = [...balanced, ...arrayAt(object, 'spec', 'externalIPs')];
	return all.length > 0 ? all.join(',') : at(object, 'spec', 'type') === 'LoadBalancer' ? '<pending>' : '<none>';
}

function servicePorts(object: JsonObject): string {
	const ports = arrayAt(object, 'spec', 'ports').map((port) => {
		const nodePort = at(port, 'nodePort');
		const onNodes = nodePort === undefined ? '' : `:${text(nodePort, '')}`;
		return `${text(at(port, 'port'), '')}${onNodes}/${text(at(port, 'protocol'), 'TCP')}`;
	});
	return ports.join(',') || '<none>';
}

function endpointsText(object: JsonObject): string {
	const all = arrayAt(object, 'subsets').flatMap((subset) => {
		const ports = arrayAt(subset, 'ports');
		return arrayAt(subset, 'addresses').flatMap((address) => {
			const ip = text(at(address, 'ip'), '');
			return ports.length === 0 ? [ip] : ports.map((port) => `${ip}:${text(at(port, 'port'), '')}`);
		});
	});
	return all.length > 3 ? `${all.slice(0, 3).join(',')} + ${all.length - 3} more...` : all.join(',') || '<none>';
}

/**
 * A cell by a simple JSON path (`.spec.cidr`, `.status.conditions[?(@.type=="Ready")].status`);
 * column definitions allow no other forms.
 */
export function byJsonPath(object: JsonObject, path: string): JsonValue | undefined {
	let values: JsonValue[] = [object];
	for (const [, name, quoted, filterPath, filterValue, index] of path.matchAll(
		/\.([\w-]+(?:\\\.[\w-]+)*)|\['([^']+)'\]|\[\?\(@\.([\w.]+)\s*==\s*["']([^"']*)["']\)\]|\[(\d+|\*)\]/g,
	)) {
		const member = (name ?? quoted)?.replaceAll('\\.', '.');
		values = values.flatMap((value) => {
			if (member !== undefined) return present(at(value, member));
			if (!isArray(value)) return [];
			if (filterPath !== undefined) return value.filter((item) => at(item, ...filterPath.split('.')) === filterValue);
			return index === '*' ? value : present(value[Number(index)]);
		});
	}
	return values[0];
}

/** Wraps a value of any type; array items are not expanded here. */
const present = (value: JsonValue | undefined): JsonValue[] => (value === undefined ? [] : [value]);

function bindingColumns(): readonly Column[] {
	const subjects = (object: JsonObject, kind: string): string =>
		arrayAt(object, 'subjects')
			.filter((subject) => textAt(subject, 'kind') === kind)
			.map((subject) => {
				const name = textAt(subject, 'name') ?? '';
				return kind === 'ServiceAccount' ? `${textAt(subject, 'namespace') ?? ''}/${name}` : name;
			})
			.join(', ');
	return [
		nameColumn,
		column('Role', (object) => `${textAt(object, 'roleRef', 'kind') ?? ''}/${textAt(object, 'roleRef', 'name') ?? ''}`),
		ageColumn,
		column('Users', (object) => subjects(object, 'User'), 1),
		column('Groups', (object) => subjects(object, 'Group'), 1),
		column('ServiceAccounts', (object) => subjects(object, 'ServiceAccount'), 1),
	];
}
