/**
 * npm run setup:felix: builds Calico's Felix, without C, into ~/.cache/bgpmesh/felix/VERSION for
 * `npm test -- test/felix`. Takes about ten minutes the first time; needs Go 1.24 or newer. Felix
 * itself calls iptables and ipset.
 */
import { buildGoCommands } from './lib/go-commands.mjs';

buildGoCommands({
	name: 'felix',
	module: 'test/felix',
	requires: 'github.com/projectcalico/calico',
	commands: { felix: '.' },
	minutes: 'ten',
	without: 'the tests beside Felix are skipped',
});
