import { execFileSync } from 'node:child_process';
import { systemEnvironment } from '../../src/linux/index.ts';
import { policyTable } from '../../src/nftables/index.ts';
import type { NodePolicy, PolicyKey, SideMatch } from '../../src/policy/index.ts';

/** Milliseconds, by what was done. */
export type BesideFigures = Readonly<Record<string, { readonly median: number; readonly most: number }>>;

const run = (command: string, words: readonly string[], input: string): string =>
	execFileSync(command, words, { encoding: 'utf8', input, env: systemEnvironment(), maxBuffer: 1 << 30 });

function timed(rounds: number, act: (round: number) => void): { median: number; most: number } {
	const times: number[] = [];
	for (let round = 0; round < rounds; round++) {
		const beganMs = performance.now();
		act(round);
		times.push(performance.now() - beganMs);
	}
	times.sort((left, right) => left - right);
	return { median: times[times.length >> 1] ?? Number.NaN, most: times.at(-1) ?? Number.NaN };
}

/**
 * The same policy by other means, in the current network namespace: our table loaded anew by the
 * command `nft`, and chains of iptables with sets of ipset, as engines write them that call these
 * commands: everything for a change (kube-router), or one chain and one member (Felix).
 */
export function measureBeside(policy: NodePolicy, rounds: number): BesideFigures {
	const table = run('nft', ['list', 'table', 'inet', policyTable], '');
	const whole = `delete table inet ${policyTable}\n${table}`;
	const sets = ipsetText(policy);
	const rules = iptablesText(policy);
	const [first] = policy.policies.keys();
	const [members] = [...policy.sets.values()].filter(({ type }) => type === 'nets');
	const figures: Record<string, { median: number; most: number }> = {
		'nft -f, whole table': timed(rounds, () => run('nft', ['-f', '-'], whole)),
		'ipset restore and iptables-restore, everything': timed(rounds, () => {
			run('ipset', ['restore', '-exist'], sets);
			run('iptables-restore', ['-w'], rules);
		}),
	};
	if (members !== undefined)
		figures['ipset, one member'] = timed(rounds, (round) =>
			run('ipset', ['restore', '-exist'], `add ${nameOf(members.id)} 192.0.2.${round + 1}\n`),
		);
	if (first !== undefined)
		figures['iptables-restore --noflush, one chain'] = timed(rounds, (round) =>
			run('iptables-restore', ['-w', '--noflush'], chainText(policy, first, 9000 + round)),
		);
	return figures;
}

/** Names of sets and chains have at most 28 characters. */
const nameOf = (key: string): string => `b${Buffer.from(key).toString('base64url').slice(-24)}`;

function ipsetText({ sets }: NodePolicy): string {
	const lines: string[] = [];
	for (const { id, type, members } of sets.values()) {
		lines.push(`create ${nameOf(id)} ${type === 'nets' ? 'hash:net' : 'hash:ip,port'} family inet maxelem 1048576`);
		for (const member of members) {
			if (member.includes(':')) continue;
			const [address = '', protocol, port] = member.split(',');
			lines.push(`add ${nameOf(id)} ${type === 'nets' ? member : `${address},${protocol}:${port}`}`);
		}
	}
	return `${lines.join('\n')}\n`;
}

/** The rules of a policy's ingress; a port instead of its own one makes a change. */
function policyRules({ policies }: NodePolicy, key: PolicyKey, port?: number): string[] {
	return (policies.get(key)?.ingress ?? []).flatMap(({ source, destination, protocol }) => {
		const from = sideText(source, 'src');
		const ranges = destination.ports?.ranges ?? [];
		const is = protocol === undefined ? '' : `-p ${protocol} `;
		const ports = ranges.map(({ first, last }) => `--dport ${port ?? first}:${port ?? last} `);
		return (ports.length === 0 ? [''] : ports).map((to) => `-A ${nameOf(key)} ${is}${to}${from}-j ACCEPT`);
	});
}

const sideText = ({ sets = [], nets = [] }: SideMatch, side: 'src' | 'dst'): string =>
	[
		...sets.map((id) => `-m set --match-set ${nameOf(id)} ${side} `),
		...nets.slice(0, 1).map((net) => `${side === 'src' ? '-s' : '-d'} ${net} `),
	].join('');

function chainText(policy: NodePolicy, key: PolicyKey, port: number): string {
	return ['*filter', `:${nameOf(key)} - [0:0]`, ...policyRules(policy, key, port), 'COMMIT', ''].join('\n');
}

/** A chain for each policy, one for each pod, and a rule for each pod that leads to it. */
function iptablesText(policy: NodePolicy): string {
	const chains = [...policy.policies.keys()].map((key) => `:${nameOf(key)} - [0:0]`);
	const rules = [...policy.policies.keys()].flatMap((key) => policyRules(policy, key));
	for (const { key, interfaceName, ingress } of policy.workloads.values()) {
		chains.push(`:${nameOf(key)} - [0:0]`);
		rules.push(`-A FORWARD -o ${interfaceName} -j ${nameOf(key)}`);
		for (const policyKey of ingress.tiers.flatMap(({ policies }) => policies))
			rules.push(`-A ${nameOf(key)} -j ${nameOf(policyKey)}`);
		rules.push(`-A ${nameOf(key)} -j DROP`);
	}
	return ['*filter', ':FORWARD ACCEPT [0:0]', ...chains, ...rules, 'COMMIT', ''].join('\n');
}
