import { missingAt, type PeerAge } from '../../lab/debian.ts';
import type { Subject, SubjectName } from '../types.ts';

/** BIRD: every client has its protocol; all routes are imported and exported. */
const birdOf = (name: SubjectName, age: PeerAge, program: string): Subject => ({
	name,
	age,
	missing: () => missingAt(age, program, 'BIRD'),
	launch: ({ address, port, asNumber, clusterId, clients, holdTimeSeconds, denied }) => {
		const refuse = denied.length === 0 ? 'all' : 'filter towards_clients';
		const protocols = clients.map(
			(client, index) => `protocol bgp c${index} from clients { neighbor ${client} as ${asNumber}; }`,
		);
		const text = `log stderr { info, warning, error, fatal, bug };
router id ${clusterId};
protocol device { }
${denied.length === 0 ? '' : `filter towards_clients { if net ~ [ ${denied.map((prefix) => `${prefix}+`).join(', ')} ] then reject; accept; }`}
template bgp clients {
	local ${address} port ${port} as ${asNumber};
	strict bind;
	multihop;
	passive;
	rr client;
	rr cluster id ${clusterId};
	hold time ${holdTimeSeconds};
	error wait time 1, 2;
	ipv4 { import all; export ${refuse}; next hop keep; };
	ipv6 { import all; export all; next hop keep; };
}
${protocols.join('\n')}
`;
		return {
			command: program,
			args: ['-f', '-c', 'bird.conf', '-s', 'bird.ctl', '-P', 'bird.pid'],
			files: { 'bird.conf': text },
			unprivileged: true,
		};
	},
});

export const bird = (age: PeerAge): Subject => birdOf(age === 'sid' ? 'bird@sid' : 'bird', age, '/usr/sbin/bird');

/** Debian 12 has no BIRD 3. */
export const bird3 = (): Subject => birdOf('bird3@sid', 'sid', '/opt/bird3/usr/sbin/bird');
