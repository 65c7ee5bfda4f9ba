import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ClusterDataplane, ClusterOverlay, ClusterProxy } from './manifests.ts';

/** The command line options of `npm run e2e`. */
export type E2eCommand =
	| { readonly type: 'help'; readonly text: string }
	| { readonly type: 'wrong'; readonly text: string }
	| { readonly type: 'run'; readonly options: E2eOptions };

export interface E2eOptions {
	readonly smoke: boolean;
	/** Incidents in place of the specs. */
	readonly chaos: boolean;
	/** Installation, upgrade, rollback, optional parts and removal by Helm in place of the specs. */
	readonly chart: boolean;
	/** Restarts of a Deployment under load in place of the specs. */
	readonly rollout: boolean;
	/** Cases of cyclonus in place of the specs. */
	readonly cyclonus: boolean;
	/** Tags of cyclonus' cases. */
	readonly include: readonly string[];
	readonly exclude: readonly string[];
	readonly keep: boolean;
	readonly json: boolean;
	readonly overlay: ClusterOverlay;
	readonly proxy: ClusterProxy;
	readonly dataplane: ClusterDataplane;
	/** A regular expression of spec names; without one: all specs of the long run. */
	readonly focus?: string;
	readonly skip?: string;
	/** Specs at a time. */
	readonly processes: number;
	readonly logs?: string;
}

const usage = `Usage: npm run e2e -- [OPTIONS]

Starts a real Kubernetes cluster in namespaces of this machine: etcd, kube-apiserver, controller manager and scheduler on a
router, kubelets with containerd in two subnets, CoreDNS, and bgpmesh from its own manifests. Runs Kubernetes' own network
specs, prints a table, and removes it all. Needs root, Debian's containerd and runc, and Go the first time (18 minutes).

  --smoke           two nodes and a dozen checks in place of the specs: pods, exec, DNS, a Service, a policy
  --chaos           two nodes and incidents in place of the specs: daemon and containerd killed, no API server, a crowd of pods
  --chart           three nodes by the Helm chart in place of the specs: upgrade, rollback, reflector, monitor, removal
  --rollout         two nodes and restarts of a Deployment under load in place of the specs: no request may fail
  --cyclonus        two nodes and the cases of cyclonus in place of the specs: policies, and every pair of nine pods probed
                    after each change; built the first time, which needs Go (npm run setup:cyclonus)
  --include TAGS    only cases of cyclonus with one of these tags of it, as egress,named-port
  --exclude TAGS    no cases of cyclonus with one of these tags
  --focus REGEX     only specs whose names match
  --skip REGEX      no specs whose names match
  --processes N     so many specs at a time (default 1)
  --overlay vxlan   VXLAN across subnets in place of routes on the router
  --proxy NAME      what serves Services: bgpmesh (default) or kube-proxy
  --dataplane NAME  what judges packets of pods: nftables (default) or ebpf, with a BPF file system and a cgroup for each node
  --keep            the cluster stays up until Ctrl-C; the commands to look around are shown
  --json            one JSON document on standard output, progress on standard error
  --logs FOLDER     leave copies of the logs there
  --help            this

Examples:
  npm run e2e -- --smoke
  npm run e2e -- --chaos --logs /tmp/chaos
  npm run e2e -- --focus 'Netpol.*default-deny'
  npm run e2e -- --cyclonus --exclude upstream-e2e,example
  npm run --silent e2e -- --json >result.json

Exit codes: 0 every spec passed, 1 a spec failed or the cluster did not start, 2 wrong usage.`;

const listOf = (text = ''): readonly string[] => text.split(',').filter(Boolean);

/** Reads the command line; pure. */
export function parseCommand(argv: readonly string[]): E2eCommand {
	try {
		const { values } = parseArgs({
			args: [...argv],
			options: {
				smoke: { type: 'boolean', default: false },
				chaos: { type: 'boolean', default: false },
				chart: { type: 'boolean', default: false },
				rollout: { type: 'boolean', default: false },
				cyclonus: { type: 'boolean', default: false },
				include: { type: 'string' },
				exclude: { type: 'string' },
				keep: { type: 'boolean', default: false },
				json: { type: 'boolean', default: false },
				overlay: { type: 'string', default: 'none' },
				proxy: { type: 'string', default: 'bgpmesh' },
				dataplane: { type: 'string', default: 'nftables' },
				focus: { type: 'string' },
				skip: { type: 'string' },
				processes: { type: 'string', default: '1' },
				logs: { type: 'string' },
				help: { type: 'boolean', short: 'h', default: false },
			},
		});
		const { smoke, chaos, chart, rollout, cyclonus, keep, json, overlay, proxy, dataplane, focus, skip, logs } = values;
		if (values.help) return { type: 'help', text: usage };
		if (overlay !== 'none' && overlay !== 'vxlan')
			return { type: 'wrong', text: `--overlay ${overlay}: expected none or vxlan\n\n${usage}` };
		if (proxy !== 'kube-proxy' && proxy !== 'bgpmesh')
			return { type: 'wrong', text: `--proxy ${proxy}: expected bgpmesh or kube-proxy\n\n${usage}` };
		if (dataplane !== 'nftables' && dataplane !== 'ebpf')
			return { type: 'wrong', text: `--dataplane ${dataplane}: expected nftables or ebpf\n\n${usage}` };
		const runs = Object.entries({ smoke, chaos, chart, rollout, cyclonus }).flatMap(([name, given]) =>
			given ? [`--${name}`] : [],
		);
		if (runs.length > 1) return { type: 'wrong', text: `one of ${runs.join(', ')} at a time\n\n${usage}` };
		if (runs.length === 1 && (focus !== undefined || skip !== undefined))
			return { type: 'wrong', text: `${runs[0]} runs no specs: it goes with neither --focus nor --skip\n\n${usage}` };
		if (!cyclonus && (values.include !== undefined || values.exclude !== undefined))
			return { type: 'wrong', text: `--include and --exclude choose cases of --cyclonus\n\n${usage}` };
		const processes = Number(values.processes);
		if (!Number.isInteger(processes) || processes < 1 || processes > 16)
			return { type: 'wrong', text: `--processes ${values.processes}: expected 1 to 16\n\n${usage}` };
		for (const expression of [focus, skip]) {
			if (expression !== undefined) new RegExp(expression);
		}
		return {
			type: 'run',
			options: {
				smoke,
				chaos,
				chart,
				rollout,
				cyclonus,
				include: listOf(values.include),
				exclude: listOf(values.exclude),
				keep,
				json,
				overlay,
				proxy,
				processes,
				dataplane,
				...(focus === undefined ? {} : { focus }),
				...(skip === undefined ? {} : { skip }),
				...(logs === undefined ? {} : { logs: resolve(logs) }),
			},
		};
	} catch (error) {
		if (!(error instanceof TypeError) && !(error instanceof SyntaxError)) throw error;
		return { type: 'wrong', text: `${error.message}\n\n${usage}` };
	}
}
