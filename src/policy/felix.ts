import { isObject, type JsonObject, type JsonValue, objectAt } from '../json/index.ts';
import { FieldError, net, protocol } from './convert/fields.ts';
import type { PolicyProblem } from './model.ts';
import type { FailsafePort, NodeSettings } from './rules.ts';

/**
 * The settings of a node from Calico's FelixConfiguration `default` and `node.NAME`; the node's own
 * win. Members that cannot be read keep their default and are reported. `undefined` objects are
 * absent.
 */
export function settingsFromFelix(
	defaults: NodeSettings,
	cluster: JsonObject | undefined,
	own: JsonObject | undefined,
): { readonly settings: NodeSettings; readonly problems: readonly PolicyProblem[] } {
	const spec: JsonObject = {
		...(cluster === undefined ? {} : objectAt(cluster, 'spec')),
		...(own === undefined ? {} : objectAt(own, 'spec')),
	};
	const problems: PolicyProblem[] = [];
	const read = <T>(name: string, fallback: T, convert: (value: JsonValue, path: string) => T): T => {
		const value = spec[name];
		if (value === undefined || value === null) return fallback;
		try {
			return convert(value, `spec.${name}`);
		} catch (error) {
			if (!(error instanceof FieldError)) throw error;
			problems.push({ type: 'warning', field: error.field, problem: error.problem });
			return fallback;
		}
	};
	const settings: NodeSettings = {
		...defaults,
		endpointToHostAction: read('defaultEndpointToHostAction', defaults.endpointToHostAction, hostAction),
		failsafeInbound: read('failsafeInboundHostPorts', defaults.failsafeInbound, failsafePorts),
		failsafeOutbound: read('failsafeOutboundHostPorts', defaults.failsafeOutbound, failsafePorts),
		dropInvalid: !read('disableConntrackInvalidCheck', !defaults.dropInvalid, flag),
		allowVxlanFromWorkloads: read('allowVXLANPacketsFromWorkloads', defaults.allowVxlanFromWorkloads, flag),
		allowIpipFromWorkloads: read('allowIPIPPacketsFromWorkloads', defaults.allowIpipFromWorkloads, flag),
		vxlanPort: read('vxlanPort', defaults.vxlanPort, portNumber),
	};
	return { settings, problems };
}

/**
 * `bpfEnabled` of FelixConfiguration `default` and `node.NAME`; the node's own wins; `undefined`:
 * neither has it.
 */
export function bpfEnabledOf(cluster: JsonObject | undefined, own: JsonObject | undefined): boolean | undefined {
	const values = [own, cluster].map((object) =>
		object === undefined ? undefined : objectAt(object, 'spec')['bpfEnabled'],
	);
	return values.find((value) => typeof value === 'boolean');
}

function hostAction(value: JsonValue, path: string): NodeSettings['endpointToHostAction'] {
	const action = typeof value === 'string' ? value.toLowerCase() : '';
	if (action !== 'drop' && action !== 'accept' && action !== 'return')
		throw new FieldError(path, 'expected Drop, Accept or Return');
	return action;
}

function flag(value: JsonValue, path: string): boolean {
	if (typeof value !== 'boolean') throw new FieldError(path, 'expected true or false');
	return value;
}

function portNumber(value: JsonValue, path: string): number {
	if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 65_535)
		throw new FieldError(path, 'expected a port');
	return value;
}

/** A list of objects (v3), or text such as `tcp:22,udp:10.0.0.0/8:68` or `none` (older). */
function failsafePorts(value: JsonValue, path: string): readonly FailsafePort[] {
	if (typeof value === 'string') {
		if (value === '' || value.toLowerCase() === 'none') return [];
		return value.split(',').map((text) => {
			const parts = text.trim().split(':');
			const [name = 'tcp', port = ''] = parts.length === 1 ? ['tcp', parts[0]] : [parts[0], parts.at(-1)];
			const within = parts.slice(1, -1).join(':');
			return {
				protocol: protocol(name, path),
				port: portNumber(Number(port), path),
				...(within === '' ? {} : { net: net(within, path) }),
			};
		});
	}
	if (!Array.isArray(value)) throw new FieldError(path, 'expected a list of ports');
	return value.map((entry: JsonValue, index): FailsafePort => {
		const at = `${path}[${index}]`;
		if (!isObject(entry)) throw new FieldError(at, 'expected protocol and port');
		const within = entry['net'];
		return {
			protocol: protocol(entry['protocol'] ?? 'tcp', `${at}.protocol`),
			port: portNumber(entry['port'] ?? 0, `${at}.port`),
			...(typeof within === 'string' && within !== '' ? { net: net(within, `${at}.net`) } : {}),
		};
	});
}
