import test from 'ava';
import * as fc from 'fast-check';
import { parseAddress } from '../../src/core/index.ts';
import {
	defaultNodeSettings,
	evaluate,
	PolicyCalculator,
	PolicyFeed,
	ProtocolNumber,
	type WorkloadEndpoint,
} from '../../src/policy/index.ts';
import { oracleObject, world } from './arbitraries.ts';
import { identity } from './history.ts';
import { Oracle, type OraclePacket } from './oracle.ts';

const addresses = [...world.addresses, '10.1.0.77', '203.0.113.9'];
const probes = [
	{ protocol: 'TCP', port: 80 },
	{ protocol: 'TCP', port: 8080 },
	{ protocol: 'UDP', port: 53 },
	{ protocol: 'ICMP', port: 0 },
] as const;

const decided = { allowed: 0, denied: 0 };

test('random policies behave as their API documentation defines', (t) => {
	fc.assert(
		fc.property(fc.array(oracleObject, { minLength: 10, maxLength: 50 }), (drawn) => {
			const objects = [...new Map(drawn.map((raw) => [identity(raw), raw])).values()];
			const oracle = new Oracle(objects);
			const nodes = new Map(
				world.nodes.map((node) => {
					const calculator = new PolicyCalculator({ node, settings: defaultNodeSettings });
					const feed = new PolicyFeed(calculator);
					for (const raw of objects) feed.put(raw);
					calculator.takeChange();
					return [node as string, calculator];
				}),
			);
			for (const pod of oracle.pods()) {
				const calculator = nodes.get(pod.spec.nodeName);
				const endpoint = calculator?.state.workloads.get(`${pod.metadata.namespace}/${pod.metadata.name}`);
				if (calculator === undefined || endpoint === undefined) return t.fail('the pod has no policy');
				for (const other of addresses) for (const probe of probes) compare(pod, endpoint, calculator, other, probe);
			}
			return undefined;

			function compare(
				pod: { metadata: { namespace: string; name: string }; status: { podIP: string } },
				endpoint: WorkloadEndpoint,
				calculator: PolicyCalculator,
				other: string,
				probe: (typeof probes)[number],
			): void {
				for (const direction of ['ingress', 'egress'] as const) {
					const [source, destination] = direction === 'ingress' ? [other, pod.status.podIP] : [pod.status.podIP, other];
					const packet: OraclePacket = { source, destination, ...probe };
					const verdict = evaluate(
						endpoint[direction],
						{
							source: parseAddress(source),
							destination: parseAddress(destination),
							protocol: ProtocolNumber[probe.protocol],
							sourcePort: probe.protocol === 'ICMP' ? 0 : 40_000,
							destinationPort: probe.port,
							...(probe.protocol === 'ICMP' ? { icmp: { type: 8, code: 0 } } : {}),
						},
						calculator.state,
					);
					const expected = oracle.allows(pod, direction, packet);
					if (expected) decided.allowed++;
					else decided.denied++;
					if ((verdict.action === 'allow') !== expected)
						t.fail(
							`${direction} of ${endpoint.key}: ${JSON.stringify(packet)} should be ${expected ? 'allowed' : 'denied'}: ${JSON.stringify(verdict.decision)}`,
						);
				}
			}
		}),
		{ numRuns: 150 },
	);
	t.log(decided);
	// A generator that allowed or denied everything would prove nothing.
	t.true(decided.allowed > 100 && decided.denied > 100);
});
