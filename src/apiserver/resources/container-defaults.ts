import { arrayAt, isObject, type JsonObject, type JsonValue, objectAt, textAt } from '../../json/index.ts';

const probes = ['livenessProbe', 'readinessProbe', 'startupProbe'];

function withProbes(container: JsonObject): JsonObject {
	const present = probes.flatMap((name) => (isObject(container[name]) ? [[name, probeDefaults(container[name])]] : []));
	return Object.fromEntries(present);
}

function probeDefaults(probe: JsonObject): JsonObject {
	const { httpGet } = probe;
	return {
		failureThreshold: 3,
		periodSeconds: 10,
		successThreshold: 1,
		timeoutSeconds: 1,
		...probe,
		...(isObject(httpGet) ? { httpGet: { path: '/', scheme: 'HTTP', ...httpGet } } : {}),
	};
}

function environmentDefaults(variable: JsonValue): JsonValue {
	if (!isObject(variable) || !isObject(variable['valueFrom'])) return variable;
	const { fieldRef } = variable['valueFrom'];
	if (!isObject(fieldRef)) return variable;
	return { ...variable, valueFrom: { ...variable['valueFrom'], fieldRef: { apiVersion: 'v1', ...fieldRef } } };
}

const hostPort = (port: JsonValue): JsonValue =>
	isObject(port) && port['containerPort'] !== undefined ? { hostPort: port['containerPort'], ...port } : port;

/**
 * A container with Kubernetes' defaults. On the host's network a port is one of the host as well.
 */
export function containerDefaults(container: JsonValue, hostNetwork: boolean): JsonValue {
	if (!isObject(container)) return container;
	const image = textAt(container, 'image') ?? '';
	const tag = image.slice(image.lastIndexOf('/') + 1);
	const latest = !tag.includes('@') && (!tag.includes(':') || tag.endsWith(':latest'));
	const { limits, requests } = objectAt(container, 'resources');
	// A resource with a limit and no request gets a request equal to the limit.
	const asked = isObject(limits) ? { requests: { ...limits, ...(isObject(requests) ? requests : {}) } } : {};
	return {
		terminationMessagePath: '/dev/termination-log',
		terminationMessagePolicy: 'File',
		imagePullPolicy: latest ? 'Always' : 'IfNotPresent',
		...container,
		...withProbes(container),
		...(container['env'] === undefined ? {} : { env: arrayAt(container, 'env').map(environmentDefaults) }),
		...(hostNetwork && container['ports'] !== undefined ? { ports: arrayAt(container, 'ports').map(hostPort) } : {}),
		resources: { ...objectAt(container, 'resources'), ...asked },
	};
}
