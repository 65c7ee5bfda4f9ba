import { missingAt, type PeerAge } from '../../lab/debian.ts';
import type { Subject } from '../types.ts';

const program = '/usr/bin/gobgpd';

/** GoBGP with one dynamic range of clients. */
export const gobgp = (age: PeerAge): Subject => ({
	name: age === 'sid' ? 'gobgp@sid' : 'gobgp',
	age,
	missing: () => missingAt(age, program, 'gobgpd'),
	launch: ({ address, port, asNumber, clusterId, clientRange, holdTimeSeconds, denied }) => {
		const families = ['ipv4-unicast', 'ipv6-unicast'].map(
			(name) => `[[peer-groups.afi-safis]]\n[peer-groups.afi-safis.config]\nafi-safi-name = "${name}"\n`,
		);
		const entries = denied.map(
			(prefix) =>
				`[[defined-sets.prefix-sets.prefix-list]]\nip-prefix = "${prefix}"\nmasklength-range = ` +
				`"${prefix.split('/')[1]}..32"\n`,
		);
		const policy =
			denied.length === 0
				? ''
				: `[[defined-sets.prefix-sets]]
prefix-set-name = "denied"
${entries.join('')}[[policy-definitions]]
name = "towards-clients"
[[policy-definitions.statements]]
[policy-definitions.statements.conditions.match-prefix-set]
prefix-set = "denied"
[policy-definitions.statements.actions]
route-disposition = "reject-route"
`;
		const applied =
			denied.length === 0
				? ''
				: '[global.apply-policy.config]\nexport-policy-list = ' +
					'["towards-clients"]\ndefault-export-policy = "accept-route"\n';
		const text = `[global.config]
as = ${asNumber}
router-id = "${clusterId}"
port = ${port}
local-address-list = ["${address}"]
${applied}${policy}[[peer-groups]]
[peer-groups.config]
peer-group-name = "clients"
peer-as = ${asNumber}
[peer-groups.timers.config]
hold-time = ${holdTimeSeconds}
keepalive-interval = ${Math.max(1, Math.floor(holdTimeSeconds / 3))}
[peer-groups.transport.config]
passive-mode = true
[peer-groups.route-reflector.config]
route-reflector-client = true
route-reflector-cluster-id = "${clusterId}"
${families.join('')}[[dynamic-neighbors]]
[dynamic-neighbors.config]
prefix = "${clientRange}"
peer-group = "clients"
`;
		return {
			command: program,
			args: ['-t', 'toml', '-f', 'gobgp.toml', '--api-hosts', `${address}:50051`, '-l', 'warn'],
			files: { 'gobgp.toml': text },
			unprivileged: true,
		};
	},
});
