import { missingAt, type PeerAge } from '../../lab/debian.ts';
import type { Subject } from '../types.ts';

const program = '/usr/sbin/bgpd';

/** OpenBGPD, which drops its privileges itself and therefore must be started as root. */
export const openbgpd = (age: PeerAge): Subject => ({
	name: age === 'sid' ? 'openbgpd@sid' : 'openbgpd',
	age,
	missing: () =>
		missingAt(age, program, 'openbgpd') ??
		(process.getuid?.() === 0 ? undefined : 'OpenBGPD can only be started as root'),
	launch: ({ address, port, asNumber, clusterId, clientRange, holdTimeSeconds, denied, folder }) => {
		const text = `AS ${asNumber}
router-id ${clusterId}
fib-update no
nexthop qualify via default
socket "${folder}/control.sock"
listen on ${address} port ${port}
holdtime ${holdTimeSeconds}
neighbor ${clientRange} {
	remote-as ${asNumber}
	descr "clients"
	passive
	route-reflector ${clusterId}
	announce IPv4 unicast
	announce IPv6 unicast
}
allow from ibgp
allow to ibgp
${denied.map((prefix) => `deny to ibgp prefix ${prefix} or-longer\n`).join('')}`;
		return {
			command: program,
			args: ['-d', '-f', 'openbgpd.conf'],
			files: { 'openbgpd.conf': text },
			mode: 0o600,
			// It changes its root to this folder, which its service creates.
			folders: ['/run/openbgpd'],
		};
	},
});
