/**
 * Runs inside another kernel: loads programs, compares verdicts; prints one line of JSON.
 * Arguments: scenes, seed.
 */
import * as fc from 'fast-check';
import {
	clockHelper,
	compileEntry,
	compileHostEarly,
	compileHostEntry,
	compileNatProgram,
	compileRuleChain,
	LoadedProgram,
	loadProbe,
	openNatMaps,
	openSocketMaps,
} from '../../../src/ebpf/index.ts';
import { earlyPrograms } from '../../../src/ebpf/policy/early-stages.ts';
import type { Direction } from '../../../src/policy/index.ts';
import { direction, nets, nodePolicy, policy, rule, settings } from '../../nftables/fixtures.ts';
import { closeMaps, openMaps, TestEndpoint } from '../bench.ts';
import { disagreement, scene, type Tally } from '../scenes.ts';

const [count, seed] = process.argv.slice(2).map(Number);
/**
 * Kernels before 5.12 run no packet that came in at an interface (`ingress_ifindex`); without one it
 * is of this node.
 */
function runsIngress(): boolean {
	const program = loadProbe();
	try {
		program.testRun(new Uint8Array(64), { ingressIndex: 3 });
		return true;
	} catch {
		return false;
	} finally {
		program.close();
	}
}

const directions: readonly Direction[] = runsIngress() ? ['ingress', 'egress'] : ['egress'];
const tally: Tally = { allowed: 0, denied: 0, packets: 0 };
let problem: string | undefined;
for (const drawn of fc.sample(scene, { numRuns: count ?? 1, ...(seed === undefined ? {} : { seed }) })) {
	problem ??= disagreement(drawn, tally, undefined, directions);
}

/**
 * The verifier accepts the programs of services from outside, of host endpoints, and those that redirect
 * between pods.
 */
function loadsOthers(): string | undefined {
	const natMaps = openNatMaps(undefined, { frontends: 16, sources: 16, flows: 64 });
	const pools = openSocketMaps(undefined, { frontends: 16, backends: 16, sockets: 16 });
	const policyMaps = openMaps();
	const actions = (['allow', 'deny', 'pass', 'log'] as const).map((action) => rule(action, { protocol: 17 }));
	const some = policy('some', actions, actions);
	const type = 'schedClassifier';
	try {
		for (const hook of ['ingress', 'egress'] as const) {
			const maps = new Map([...natMaps, ...pools]);
			LoadedProgram.load(compileNatProgram({ hook, masqueradeMark: 1 }), { name: hook, type, maps }).close();
			const entry = compileEntry({ direction: hook, settings, redirects: true, clock: clockHelper() });
			LoadedProgram.load(entry, { name: hook, type, maps: policyMaps }).close();
			for (const link of ['ethernet', 'ip'] as const) {
				const host = compileHostEntry({ direction: hook, settings, link, knowsNodes: true });
				LoadedProgram.load(host, { name: `host_${hook}`, type, maps: policyMaps }).close();
				for (const early of earlyPrograms.filter((one) => one.direction === hook)) {
					const { name, stage } = early;
					const options = { name, type, maps: policyMaps } as const;
					LoadedProgram.load(compileHostEarly({ stage, direction: hook, settings, link }), options).close();
					const chain = compileRuleChain({
						policy: { ...direction(hook, [some], 'pass'), otherwise: 'continue' },
						...{ book: nodePolicy([], [some], []), stage, settings: { endpointToHostAction: 'accept' } },
					});
					for (const program of [...chain.programs.ipv4, ...chain.programs.ipv6])
						LoadedProgram.load(program, options).close();
				}
			}
		}
		return undefined;
	} catch (error) {
		return error instanceof Error ? error.message : String(error);
	} finally {
		for (const map of [...natMaps.values(), ...pools.values()]) map.close();
		closeMaps(policyMaps);
	}
}
problem ??= loadsOthers();

/** A policy of so many rules: does the last one decide, and the one before it? */
function decides(count: number): boolean {
	const many = policy(
		'many',
		[],
		[
			...Array.from({ length: count - 1 }, (_, index) =>
				rule('deny', { protocol: 6, destination: { nets: nets(`172.16.${index >> 8}.${index & 255}/32`) } }),
			),
			rule('allow', { protocol: 6 }),
		],
	);
	const maps = openMaps();
	const endpoint = new TestEndpoint({
		maps,
		ingress: direction('ingress', []),
		egress: direction('egress', [many]),
		book: nodePolicy([], [many], []),
		addresses: ['10.1.0.2'],
	});
	try {
		const frame = { source: '10.1.0.2', protocol: 6, sourcePort: 40_000, destinationPort: 80 };
		const last = count - 2;
		return (
			endpoint.passes('egress', { ...frame, destination: '10.2.0.9' }) &&
			!endpoint.passes('egress', { ...frame, destination: `172.16.${last >> 8}.${last & 255}` })
		);
	} finally {
		endpoint.close();
		closeMaps(maps);
	}
}

process.stdout.write(`${JSON.stringify({ ...tally, problem, directions, largest: [1000, 4000].filter(decides) })}\n`);
