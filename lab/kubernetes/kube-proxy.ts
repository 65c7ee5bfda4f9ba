import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemEnvironment } from '../../src/linux/index.ts';
import { binary } from './binaries.ts';

/** A real kube-proxy beside ours: benchmark, comparison, takeover. */
export interface KubeProxyOptions {
	readonly mode: 'nftables' | 'iptables';
	readonly kubeconfig: string;
	/** Name of its Node. */
	readonly node: string;
	/** Sources in these ranges, one of each family at most, are pods. */
	readonly podCidrs: readonly string[];
	/** Absent: the primary addresses in mode nftables, all addresses in mode iptables. */
	readonly nodePortAddresses?: readonly string[];
	/** For its configuration. */
	readonly folder: string;
	/** The command that starts it elsewhere: `ip netns exec NAME`. */
	readonly within?: readonly string[];
}

/**
 * Its configuration as JSON. It synchronises as fast as possible: by default it waits a second
 * between two rounds. It leaves the limits of the connection table unchanged. Pure.
 */
export function kubeProxyConfig({
	mode,
	kubeconfig,
	node,
	podCidrs,
	nodePortAddresses = [],
}: KubeProxyOptions): string {
	const sync = { minSyncPeriod: '1ms', syncPeriod: '30s' };
	return JSON.stringify({
		apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
		kind: 'KubeProxyConfiguration',
		mode,
		clusterCIDR: podCidrs.join(','),
		hostnameOverride: node,
		nodePortAddresses,
		clientConnection: { kubeconfig, contentType: 'application/json', acceptContentTypes: 'application/json' },
		nftables: sync,
		iptables: sync,
		conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
	});
}

/**
 * Starts it; standard error is a pipe. It runs the system's `nft`: npm's PATH may contain another
 * program of that name. @throws Error if it is not installed
 */
export function startKubeProxy(options: KubeProxyOptions): ChildProcess {
	const file = join(options.folder, `kube-proxy-${options.node}.yaml`);
	writeFileSync(file, kubeProxyConfig(options));
	const [command = '', ...args] = [...(options.within ?? []), binary('kube-proxy'), `--config=${file}`];
	return spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: systemEnvironment() });
}
