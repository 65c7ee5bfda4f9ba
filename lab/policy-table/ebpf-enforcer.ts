import {
	Assembler,
	type Attacher,
	ClsactAttacher,
	createPolicyMaps,
	EbpfPolicy,
	hostLinks,
	hostPurpose,
	hostsForPrograms,
	imm,
	LoadedProgram,
	openAttacher,
	type PolicyMapSizes,
	type PolicyMaps,
	type Purpose,
	policyPurpose,
	preDnatPurpose,
	r0,
	untrackedPurpose,
} from '../../src/ebpf/index.ts';
import { Conntrack, loadRuleset, Rtnetlink } from '../../src/linux/index.ts';
import { NftablesPolicy } from '../../src/nftables/index.ts';
import { GatedKernel, type PolicyKernel } from '../../src/policy/index.ts';
import { inside } from '../frames/sockets.ts';
import type { Enforcer } from './frames-backend.ts';

/** Maps of one node of a table. */
const tableSizes = {
	netMembers: 65_536,
	addressPortMembers: 16_384,
	connections: 16_384,
	fragments: 256,
	counters: 4096,
	eventBytes: 1 << 18,
	rulePrograms: 1024,
	endpoints: 512,
	sources: 1024,
};

export interface EbpfEnforcerOptions {
	/** Packets between pods go from interface to interface. */
	readonly redirect?: boolean;
	/** `false`: no rules for host endpoints, so that what programs let pass shows. */
	readonly rulesOfHosts?: boolean;
	/** By default small ones, as there are many nodes. */
	readonly sizes?: PolicyMapSizes;
	/** Receives the attachers of programs before translation, for programs that stand behind these. */
	readonly early?: Attacher[];
}

/**
 * eBPF programs in a namespace, with host endpoints in nftables, as the daemon does it; without
 * pins, so that they end with the namespace.
 */
export function openEbpf(
	namespace: string,
	attachment: 'best' | 'clsact' = 'best',
	{ redirect = false, rulesOfHosts = true, sizes = tableSizes, early: earlyAttachers = [] }: EbpfEnforcerOptions = {},
): Enforcer & { readonly maps: PolicyMaps } {
	return inside(namespace, () => {
		const maps = createPolicyMaps(sizes);
		const netlink = new Rtnetlink();
		const attach = (purpose = policyPurpose, beside: readonly Attacher[] = []) =>
			attachment === 'clsact' ? new ClsactAttacher({ purpose }) : bestAttacher(namespace, purpose, beside);
		const untracked = attach(untrackedPurpose);
		const early = { untracked, 'pre-dnat': attach(preDnatPurpose, [untracked]) };
		earlyAttachers.push(...Object.values(early));
		const programs = new EbpfPolicy({
			maps,
			attacher: attach(),
			hosts: {
				attacher: attach(hostPurpose, [untracked]),
				early,
				links: async () => hostLinks(await netlink.links()),
			},
			interfaces: async () => new Map((await netlink.links()).map(({ name, index }) => [name, index])),
		});
		const gate = new NftablesPolicy({}, { load: (rules) => inside(namespace, () => loadRuleset(rules)) });
		const conntrack = new Conntrack();
		return {
			maps,
			kernel: redirect ? redirecting(programs, gate) : gatedKernel(programs, rulesOfHosts ? gate : withoutHosts(gate)),
			forgetConnections: async () => {
				for (const family of ['ipv4', 'ipv6'] as const) await conntrack.flush(family);
				const connections = maps.get('connections');
				for (const key of [...(connections?.keys() ?? [])]) connections?.delete(key);
			},
			close: () => {
				programs.close();
				gate.close();
				conntrack.close();
				netlink.close();
				for (const map of maps.values()) map.close();
			},
		};
	});
}

const withoutHosts = (gate: NftablesPolicy): PolicyKernel => ({
	name: gate.name,
	sync: (policy) => gate.sync({ ...policy, hosts: new Map() }),
	apply: (change, policy) => gate.apply({ ...change, hosts: [] }, { ...policy, hosts: new Map() }),
});

const gatedKernel = (programs: EbpfPolicy, gate: PolicyKernel): GatedKernel =>
	new GatedKernel(programs, gate, (policy) => hostsForPrograms(policy).programs);

/** As the daemon does it with `ebpf.podRedirect`. */
function redirecting(programs: EbpfPolicy, gate: NftablesPolicy): PolicyKernel {
	const gated = gatedKernel(programs, gate);
	return {
		name: gated.name,
		async sync(policy) {
			programs.redirect(policy.hosts.size === 0);
			return gated.sync(policy);
		},
		async apply(change, policy) {
			programs.redirect(policy.hosts.size === 0);
			await gated.apply(change, policy);
		},
	};
}

function bestAttacher(namespace: string, purpose: Purpose, beside: readonly Attacher[]): Attacher {
	const probe = LoadedProgram.load(new Assembler().mov(r0, imm(0)).exit().assemble(), {
		name: 'probe',
		type: 'schedClassifier',
		maps: new Map(),
	});
	try {
		return openAttacher({ inside: (act) => inside(namespace, act), purpose, beside }, probe);
	} finally {
		probe.close();
	}
}
