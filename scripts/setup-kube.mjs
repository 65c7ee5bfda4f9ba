/**
 * npm run setup:kube: builds the real kube-apiserver and kubectl that the contract suite compares with, once, into
 * ~/.cache/bgpmesh/kube/VERSION. Takes about six minutes the first time; needs Go 1.24 or newer. etcd comes from the system (Debian: etcd-server).
 */
import { buildGoCommands } from './lib/go-commands.mjs';

const commands = ['kube-apiserver', 'kubectl'];

buildGoCommands({
	name: 'kube',
	module: 'test/kube-apiserver',
	requires: 'k8s.io/kubernetes',
	commands: Object.fromEntries(commands.map((command) => [command, `k8s.io/kubernetes/cmd/${command}`])),
	flags: (version) => {
		const [, minor] = version.slice(1).split('.');
		const stamp = { gitVersion: version, gitMajor: '1', gitMinor: minor };
		return Object.entries(stamp).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
	},
	minutes: 'six',
	without: 'the contract suite against a real kube-apiserver is skipped',
});
