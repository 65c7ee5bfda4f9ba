/**
 * npm run setup:kube [-- --cluster | --e2e]: builds the real kube-apiserver and kubectl that the
 * contract suite compares with, once, into ~/.cache/bgpmesh/kube/VERSION. Takes about six minutes
 * the first time; needs Go 1.24 or newer. etcd comes from the system (Debian: etcd-server).
 * `--cluster` adds the other components of a cluster, agnhost and CoreDNS (ten minutes more),
 * `--e2e` the e2e specs as well (18 minutes in all).
 */
import { buildGoCommands } from './lib/go-commands.mjs';

const e2e = process.argv.includes('--e2e');
const cluster = e2e || process.argv.includes('--cluster');
const component = (command) => [command, `k8s.io/kubernetes/cmd/${command}`];
const flags = (version) => {
	const [, minor] = version.slice(1).split('.');
	const stamp = { gitVersion: version, gitMajor: '1', gitMinor: minor };
	return Object.entries(stamp).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
};

buildGoCommands({
	name: 'kube',
	module: 'test/kube-apiserver',
	requires: 'k8s.io/kubernetes',
	commands: Object.fromEntries([
		...['kube-apiserver', 'kubectl'].map(component),
		...(cluster ? ['kubelet', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy'].map(component) : []),
		...(cluster ? [['agnhost', 'k8s.io/kubernetes/test/images/agnhost']] : []),
		...(e2e ? [['e2e.test', 'k8s.io/kubernetes/test/e2e']] : []),
	]),
	flags,
	minutes: e2e ? '18' : cluster ? '13' : 'six',
	without: cluster ? 'no real cluster can be started' : 'the contract suite against a real kube-apiserver is skipped',
});

if (cluster)
	buildGoCommands({
		name: 'coredns',
		module: 'test/coredns',
		requires: 'github.com/coredns/coredns',
		commands: { coredns: 'github.com/coredns/coredns' },
		minutes: 'three',
		without: 'no real cluster can be started',
	});
