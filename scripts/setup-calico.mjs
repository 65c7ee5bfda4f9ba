/**
 * npm run setup:calico: builds Calico's own calicoctl and calico-ipam, and a driver for its IPAM
 * client (test/calico/main.go), once, into ~/.cache/bgpmesh/calico/VERSION. Takes about six minutes
 * the first time; needs Go 1.24 or newer.
 */
import { buildGoCommands } from './lib/go-commands.mjs';

const calico = 'github.com/projectcalico/calico';

buildGoCommands({
	name: 'calico',
	module: 'test/calico',
	requires: calico,
	commands: {
		calicoctl: `${calico}/calicoctl/calicoctl`,
		'calico-ipam': `${calico}/cni-plugin/cmd/calico`,
		'calico-driver': '.',
	},
	minutes: 'six',
	without: "the suite with Calico's own code is skipped",
});
