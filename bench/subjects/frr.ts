import { missingAt, type PeerAge } from '../../lab/debian.ts';
import type { Subject } from '../types.ts';

const program = '/usr/lib/frr/bgpd';

/**
 * FRR's bgpd without zebra, without delays: coalesce-time 0, advertisement-interval 0. Only the
 * family of the scenario is active: since release 9 bgpd refuses an OPEN with IPv6 on an IPv4
 * session if it has found no IPv6 address of its own ("No local IPv6 address, and zebra does not
 * support V6 routing with v4 nexthops"), and without zebra it finds none.
 */
export const frr = (age: PeerAge): Subject => ({
	name: age === 'sid' ? 'frr@sid' : 'frr',
	age,
	missing: () => missingAt(age, program, 'frr'),
	launch: ({
		address,
		port,
		asNumber,
		clusterId,
		clientRange,
		clients,
		holdTimeSeconds,
		denied,
		folder,
		family: own,
	}) => {
		const policy = denied.length === 0 ? '' : '  neighbor clients route-map towards-clients out\n';
		const family = (name: string, extra: string) => ` address-family ${name} unicast
  neighbor clients activate
  neighbor clients route-reflector-client
${extra} exit-address-family
`;
		const list = denied.map((prefix) => `ip prefix-list denied permit ${prefix} le 32\n`).join('');
		const queues = age === 'sid' ? 'bgp input-queue-limit 1000000\nbgp output-queue-limit 1000000\n' : '';
		const text = `frr defaults traditional
${queues}hostname frr
${list}${denied.length === 0 ? '' : 'route-map towards-clients deny 10\n match ip address prefix-list denied\nroute-map towards-clients permit 20\n'}router bgp ${asNumber}
 bgp router-id ${clusterId}
 bgp cluster-id ${clusterId}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 bgp allow-martian-nexthop
 coalesce-time 0
 timers bgp ${Math.max(1, Math.floor(holdTimeSeconds / 3))} ${holdTimeSeconds}
 neighbor clients peer-group
 neighbor clients remote-as ${asNumber}
 neighbor clients passive
 neighbor clients advertisement-interval 0
 bgp listen limit ${Math.max(100, clients.length)}
 bgp listen range ${clientRange} peer-group clients
${own === 'ipv4' ? family('ipv4', policy) : family('ipv6', '')}line vty
`;
		return {
			command: program,
			args: [
				'-Z',
				'-S',
				'-n',
				'-p',
				String(port),
				'-l',
				address,
				'-P',
				'0',
				'--vty_socket',
				folder,
				'-i',
				'pid',
				'-f',
				'frr.conf',
				'--log',
				'stdout',
				'--log-level',
				'warnings',
			],
			files: { 'frr.conf': text },
			unprivileged: true,
		};
	},
});
