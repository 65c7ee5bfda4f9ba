import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findCommand } from '../uml/detect.ts';

/** The release of Kubernetes in use, from `test/kube-apiserver/go.mod`. */
export const kubernetesVersion = 'v1.34.4';

const cache = join(homedir(), '.cache/bgpmesh');
const newestOf = (folder: string): string | undefined =>
	existsSync(folder)
		? readdirSync(folder)
				.filter((name) => !name.includes('.build-'))
				.sort()
				.at(-1)
		: undefined;

const folders = [
	join(cache, 'kube', kubernetesVersion),
	...['coredns', 'helm', 'cyclonus'].map((name) => join(cache, name, newestOf(join(cache, name)) ?? '-')),
];

/** A command's file, or `undefined`: one built for the cluster, else one of the system. */
export const findBinary = (name: string): string | undefined =>
	folders.map((folder) => join(folder, name)).find((file) => existsSync(file)) ?? findCommand(name);

/** Commands of the system and the Debian package of each. */
const systemCommands: Readonly<Record<string, string>> = {
	etcd: 'etcd-server',
	containerd: 'containerd',
	runc: 'runc',
	bird: 'bird2',
	ip: 'iproute2',
	nsenter: 'util-linux',
	nft: 'nftables',
	conntrack: 'conntrack',
	curl: 'curl',
	wget: 'wget',
	'nc.openbsd': 'netcat-openbsd',
	dig: 'bind9-dnsutils',
	iperf: 'iperf',
	busybox: 'busybox-static',
	dash: 'dash',
	openssl: 'openssl',
};

const builtCommands = [
	'kube-apiserver',
	'kube-controller-manager',
	'kube-scheduler',
	'kube-proxy',
	'kubelet',
	'kubectl',
	'agnhost',
	'coredns',
];

/**
 * The missing parts of a cluster: Debian packages, and commands that `npm run setup:kube -- --e2e`
 * builds.
 */
export function missingForCluster(specs: boolean): { readonly packages: string[]; readonly built: string[] } {
	const packages = Object.entries(systemCommands).flatMap(([command, name]) =>
		findBinary(command) === undefined ? [name] : [],
	);
	if (!existsSync('/usr/lib/cni/portmap')) packages.push('containernetworking-plugins');
	const built = [...builtCommands, ...(specs ? ['e2e.test'] : [])].filter((name) => findBinary(name) === undefined);
	return { packages, built };
}

/** The file of a required command. @throws Error that names it */
export function binary(name: string): string {
	const file = findBinary(name);
	if (file === undefined) throw new Error(`${name} is missing: npm run setup:kube -- --e2e`);
	return file;
}
