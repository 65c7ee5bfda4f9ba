/** Behaviour over time, evaluated by the pure decisions of `src/services`. */

import type { Cell } from '../../../lab/truth-table.ts';
import { arrayAt, at, isObject, type JsonObject, type JsonValue, objectAt, textAt } from '../../../src/json/index.ts';
import {
	AffinityTable,
	answerHealthCheck,
	emptySettings,
	evaluate,
	type Pool,
	resolveSettings,
	ServicesState,
	staleFlows,
} from '../../../src/services/index.ts';
import { behaviourCell as cell, conntrackObjects, healthObjects, node, service, sliceOf } from './behaviour-objects.ts';
import { type BehaviourCase, protocols } from './cases.ts';

/** The cells of one case of `services-behaviour.jsonl`. */
export function judgeBehaviour(item: BehaviourCase): Cell[] | { readonly skip: string } {
	switch (item.kind) {
		case 'health':
			return [health(item)];
		case 'conntrack':
			return [conntrack(item)];
		case 'affinity':
			return affinity(item);
		case 'lifecycle':
			return lifecycle(item);
		default:
			return item.kind satisfies never;
	}
}

function health(item: BehaviourCase): Cell {
	const { input } = item;
	const { service: raw, slices } = healthObjects(item);
	const state = new ServicesState({ node, settings: emptySettings });
	state.setService(raw);
	for (const slice of slices) state.setSlice(slice);
	state.settle();
	if (input['then'] === 'delete') {
		state.removeService(service);
		state.settle();
	}
	const check = state.model.healthChecks.get(service);
	if (check === undefined) return cell(item, 'health', item.expect, { listens: false });
	const answer = answerHealthCheck(check, input['proxyHealthy'] !== false);
	const { localEndpoints } = JSON.parse(answer.body) as { localEndpoints: number };
	const header = objectAt(item.expect, 'header');
	const names = Object.keys(header);
	return cell(item, 'health', item.expect, {
		listens: true,
		status: answer.status,
		localEndpoints,
		...(names.length === 0 ? {} : { header: Object.fromEntries(names.map((name) => [name, answer.headers[name]])) }),
	});
}

function conntrack(item: BehaviourCase): Cell {
	const settings = resolveSettings(
		{ podRanges: undefined, serviceRanges: [], masqueradeAll: false, nodePortAddresses: 'all' },
		[],
	);
	const { service: raw, slices } = conntrackObjects(item);
	const state = new ServicesState({ node, settings });
	state.setService(raw);
	for (const slice of slices) state.setSlice(slice);
	state.settle();
	const flows = arrayAt(item.input, 'entries')
		.filter(isObject)
		.map((entry) => ({
			id: entry['id'],
			protocol: protocols[textAt(entry, 'protocol') ?? ''] ?? 'tcp',
			originalDestination: textAt(entry, 'orig', 'dst') ?? '',
			originalPort: Number(at(entry, 'orig', 'dport')),
			replySource: textAt(entry, 'reply', 'src') ?? '',
			replyPort: Number(at(entry, 'reply', 'sport')),
		}));
	const stale = staleFlows(state.model, flows, {
		serving: (servicePort) => state.servingUdp(servicePort),
		isNodeAddress: (address) => address.startsWith('192.168.'),
	});
	return cell(
		item,
		'deleted',
		item.expect['deleted'],
		stale.map(({ id }) => id),
	);
}

/**
 * Steps: `connect [xN] [from CLIENT] [port PORT]`, `wait SECONDS`, `remove BACKEND`. A draw uses
 * the backends in turn: it never repeats.
 */
function affinity(item: BehaviourCase): Cell[] | { readonly skip: string } {
	const { timeoutSeconds } = item.input;
	const settled = settledAffinity(timeoutSeconds);
	if (item.expect['timeoutSeconds'] !== undefined)
		return [cell(item, 'timeoutSeconds', item.expect['timeoutSeconds'], settled)];
	const table = new AffinityTable();
	let names = arrayAt(item.input, 'endpoints').map(String);
	let nowSeconds = 0;
	let turn = 0;
	const seen: string[] = [];
	for (const step of arrayAt(item.input, 'clientSteps').map(String)) {
		const wait = /^wait (\d+)/.exec(step);
		const leave = /^(?:remove|endpoint) (\w+)/.exec(step);
		const connect = /^connect(?: x(\d+))?(?: from (\w+))?(?: port (\d+))?/.exec(step);
		if (wait !== null) nowSeconds += Number(wait[1]);
		else if (connect !== null) {
			const pool: Pool = {
				key: 'p#cluster',
				servicePort: `p${connect[3] ?? ''}`,
				family: 'ipv4',
				protocol: 'tcp',
				backends: names.map((address) => ({ address, port: 80, local: false })),
				affinityTimeoutSeconds: settled,
			};
			for (let count = 0; count < Number(connect[1] ?? 1); count++)
				seen.push(table.connect(pool, connect[2] ?? 'c', nowSeconds, (below) => turn++ % below)?.address ?? '');
		} else if (leave !== null) names = names.filter((name) => name !== leave[1]);
		else return { skip: `step '${step}' has no meaning here` };
	}
	const isSame = new Set(seen).size === 1;
	// The draw never repeats, so connections reach the same backend only by affinity.
	if (item.expect['sameBackend'] === true) return [cell(item, 'same backend', true, isSame)];
	if (item.expect['mayChange'] === true || item.expect['independent'] === true)
		return [cell(item, 'same backend', false, isSame)];
	return { skip: `expectation ${JSON.stringify(item.expect)} has no meaning here` };
}

/** The product's view of a Service with this time-out. */
function settledAffinity(timeoutSeconds: JsonValue | undefined): number {
	const state = new ServicesState({ node, settings: emptySettings });
	const config = typeof timeoutSeconds === 'number' ? { clientIP: { timeoutSeconds } } : {};
	const ports = [{ name: 'p', port: 80, protocol: 'TCP' }];
	state.setService({
		metadata: { name: 'svc1', namespace: 'ns1' },
		spec: { clusterIP: '172.30.0.41', sessionAffinity: 'ClientIP', sessionAffinityConfig: config, ports },
	});
	state.setSlice(sliceOf([{ addresses: ['10.0.1.1'], conditions: {} }], ports));
	state.settle();
	return [...state.model.pools.values()][0]?.affinityTimeoutSeconds ?? 0;
}

/** Only the model's part of the life cycle; a connection or a restart needs a kernel. */
function lifecycle(item: BehaviourCase): Cell[] | { readonly skip: string } {
	const [first, second] = arrayAt(item.input, 'steps').map(String);
	const change = /^set type (\w+)$/.exec(second ?? '');
	if (first?.startsWith('LoadBalancer') !== true || change === null) return { skip: 'it needs a kernel' };
	const state = new ServicesState({ node, settings: resolveSettings(nodePortsOnly, [node.primary.ipv4]) });
	const ports = [{ name: 'p', port: 80, protocol: 'TCP', nodePort: 30001 }];
	const typed = (type: string): JsonObject => ({
		metadata: { name: 'svc1', namespace: 'ns1' },
		// The API server clears neither at once: the type decides.
		spec: { type, clusterIP: '172.30.0.41', ports },
		status: { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } },
	});
	const probe = () =>
		[
			{ to: '1.2.3.4', port: 80 },
			{ to: node.primary.ipv4, port: 30001 },
		].map(({ to, port }) => {
			const packet = { from: '203.0.113.2', to, protocol: 'tcp', port } as const;
			return evaluate(state.model, packet, [node.primary.ipv4]).verdict.type === 'dnat'
				? 'translated'
				: 'not translated';
		});
	state.setSlice(sliceOf([{ addresses: ['10.0.1.1'], conditions: {} }], ports));
	state.setService(typed('LoadBalancer'));
	state.settle();
	const before = probe();
	state.setService(typed(change[1] ?? ''));
	state.settle();
	return [
		cell(item, 'before', ['translated', 'translated'], before),
		cell(item, `after '${second}'`, item.expect, probe()),
	];
}

const nodePortsOnly = {
	podRanges: undefined,
	serviceRanges: [],
	masqueradeAll: false,
	nodePortAddresses: 'primary',
} as const;
