import { readFile } from 'node:fs/promises';
import type { PolicyOverviewView } from '../../control/index.ts';
import { followPackets, watchOption } from '../follow-packets.ts';
import { showListing } from '../listing.ts';
import {
	policyEndpointsScreen,
	policyStatusScreen,
	renderPlan,
	renderPolicyEndpoint,
	renderTrace,
} from '../render/policy.ts';
import { defineVerb, type GlobalOptions, type Outcome, UsageError, type VerbDependencies } from '../verb.ts';

const actions = ['status', 'show', 'trace', 'plan', 'drops'] as const;
interface Options extends GlobalOptions {
	readonly action: (typeof actions)[number];
	readonly names: readonly string[];
	readonly protocol: string;
	readonly file: string | undefined;
	readonly check: boolean;
	readonly watch: boolean;
}

export const policy = defineVerb({
	options: (yargs) =>
		yargs
			.positional('action', { choices: actions, demandOption: true, describe: 'what to do' })
			.positional('names', {
				type: 'string',
				array: true,
				default: [] as readonly string[],
				describe: 'show: a pod or host endpoint; trace: FROM TO PORT (pods, host endpoints, node/NAME, addresses)',
			})
			.option('protocol', {
				choices: ['tcp', 'udp', 'sctp', 'icmp'],
				default: 'tcp',
				describe: 'trace: the protocol; icmp needs no port',
			})
			.option('file', {
				alias: 'f',
				type: 'string',
				requiresArg: true,
				describe: 'plan: policies as YAML or JSON; - is standard input',
			})
			.option('watch', { ...watchOption, describe: `drops: ${watchOption.describe}` })
			.option('check', {
				type: 'boolean',
				default: false,
				describe: 'status: exit code 1 while not all is enforced, at this node and at all others',
			}),
	run: (options, dependencies) => {
		switch (options.action) {
			case 'status':
				return status(options, dependencies);
			case 'show':
				return show(options, dependencies);
			case 'trace':
				return trace(options, dependencies);
			case 'plan':
				return plan(options, dependencies);
			case 'drops':
				return followPackets('policyDrops', options, dependencies);
			default:
				return options.action satisfies never;
		}
	},
});

async function status({ json, check }: Options, dependencies: VerbDependencies): Promise<Outcome> {
	if (!check) {
		await showListing('policy', {}, policyStatusScreen(dependencies.screen), { json }, dependencies);
		return 'done';
	}
	const { daemon, screen, write } = dependencies;
	const answer = await daemon.ask('policy', {});
	const lines = policyStatusScreen(screen);
	const text = answer.policies.map((row) => lines.add(row)).join('') + lines.end(answer);
	await write(json ? `${JSON.stringify(answer)}\n` : text);
	return isAllEnforced(answer) ? 'done' : 'not-as-asked';
}

/**
 * This node and all others enforce every policy, each as written. Nodes that report nothing count
 * as ones that do not. Pure.
 */
export const isAllEnforced = ({
	mode,
	inSync,
	failure,
	problems,
	policies,
	silentNodes = [],
}: PolicyOverviewView): boolean =>
	mode === 'enforced' &&
	inSync &&
	failure === undefined &&
	problems.length === 0 &&
	silentNodes.length === 0 &&
	policies.every(({ rollout }) => rollout === undefined || rollout.enforcedOn >= rollout.nodes);

async function show({ names, json }: Options, dependencies: VerbDependencies): Promise<Outcome> {
	const { daemon, screen, write } = dependencies;
	const [name] = names;
	if (name === undefined) {
		await showListing('policyEndpoints', {}, policyEndpointsScreen(screen), { json }, dependencies);
		return 'done';
	}
	const answer = await daemon.ask('policyEndpoints', { name });
	const text = answer.endpoints.map((endpoint) => renderPolicyEndpoint(screen, endpoint)).join('\n');
	await write(
		json ? `${JSON.stringify(answer)}\n` : text || `No pod or host endpoint of this node is named ${name}.\n`,
	);
	return answer.endpoints.length === 0 ? 'not-as-asked' : 'done';
}

async function trace(
	{ names, protocol, json }: Options,
	{ daemon, screen, write }: VerbDependencies,
): Promise<Outcome> {
	const [from, to, portText] = names;
	const port = Number(portText ?? 0);
	if (from === undefined || to === undefined || (protocol !== 'icmp' && portText === undefined))
		throw new UsageError('policy trace needs FROM, TO and PORT');
	if (!Number.isInteger(port) || port < 0 || port > 65_535)
		throw new UsageError(`'${portText}' is not a port number (0 to 65535); a named port has its number in the pod`);
	const answer = await daemon.ask('policyTrace', { from, to, protocol, port });
	await write(json ? `${JSON.stringify(answer)}\n` : renderTrace(screen, answer));
	return answer.allowed ? 'done' : 'not-as-asked';
}

async function plan({ file, json }: Options, { daemon, screen, write }: VerbDependencies): Promise<Outcome> {
	if (file === undefined) throw new UsageError('policy plan needs -f FILE');
	let resources: string;
	try {
		resources = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8');
	} catch (error) {
		throw new UsageError(`${file} can't be read: ${error instanceof Error ? error.message : String(error)}`);
	}
	const answer = await daemon.ask('policyPlan', { resources });
	await write(json ? `${JSON.stringify(answer)}\n` : renderPlan(screen, answer));
	return answer.problems.length === 0 ? 'done' : 'not-as-asked';
}
