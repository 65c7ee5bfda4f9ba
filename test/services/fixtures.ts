import { prefixKey } from '../../src/core/index.ts';
import type { JsonObject, JsonValue } from '../../src/json/index.ts';
import { resolveSettings, type ServiceNode, type ServicesOptions, ServicesState } from '../../src/services/index.ts';

/** The node of these tests. */
export const node: ServiceNode = { name: 'node-a', zone: 'za', primary: { ipv4: '192.168.0.2', ipv6: 'fd00:1::2' } };

/** Its addresses. */
export const nodeAddresses = ['192.168.0.2', '192.168.1.2', 'fd00:1::2'];

export const options: ServicesOptions = {
	podRanges: [prefixKey('10.0.0.0/8')],
	serviceRanges: [prefixKey('172.30.0.0/16')],
	masqueradeAll: false,
	nodePortAddresses: 'primary',
};

export const settings = resolveSettings(options, nodeAddresses);

/** An empty state. */
export const newState = (): ServicesState => new ServicesState({ node, settings });

export type Fields = Readonly<Record<string, JsonValue | undefined>>;

/** A Service `ns/NAME` with one port 80/TCP unless `spec` has others. */
export const service = (
	name: string,
	spec: Fields = {},
	more: { status?: JsonObject; metadata?: Fields } = {},
): JsonObject => ({
	metadata: { name, namespace: 'ns', ...more.metadata },
	spec: { type: 'ClusterIP', clusterIP: '172.30.0.1', ports: [{ name: 'p', port: 80, protocol: 'TCP' }], ...spec },
	...(more.status === undefined ? {} : { status: more.status }),
});

/** An endpoint of a slice. */
export const endpoint = (address: string, nodeName = 'node-b', fields: Fields = {}): JsonObject => ({
	addresses: [address],
	nodeName,
	conditions: {},
	...fields,
});

/** A slice `ns/NAME` of `ns/OF` with port 8080/TCP unless others are given. */
export const slice = (
	name: string,
	of: string,
	endpoints: readonly JsonObject[],
	more: { ports?: readonly JsonObject[]; addressType?: string } = {},
): JsonObject => ({
	metadata: { name, namespace: 'ns', labels: { 'kubernetes.io/service-name': of } },
	addressType: more.addressType ?? 'IPv4',
	endpoints,
	ports: more.ports ?? [{ name: 'p', port: 8080, protocol: 'TCP' }],
});
