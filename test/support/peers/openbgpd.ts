import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathAt, testedAge } from '../../../lab/debian.ts';
import { seen } from './bird.ts';
import { DaemonProcess, jsonOf, outputOf } from './process.ts';
import type { PeerKind, PeerRoute, PeerSetting, RunningPeer, SeenRoute } from './types.ts';

const bgpd = '/usr/sbin/bgpd';
const bgpctl = '/usr/sbin/bgpctl';

/** OpenBGPD, portable. It requires root, and a configuration file that no other user may write. */
export const openbgpdPeer: PeerKind = {
	name: 'OpenBGPD',
	files: [bgpd, bgpctl],
	// It announces graceful restart without a family: it holds the routes of others, and its own
	// are not held. Version 7.7 refuses a ROUTE-REFRESH for families it has negotiated ("not
	// negotiated"), from every peer.
	features: new Set(['add-path', 'graceful-helper', 'ttl-security', 'role']),
	async version() {
		const text = await outputOf('/bin/sh', ['-c', `${bgpd} -V 2>&1`]);
		return /OpenBGPD ([\d.]+)/.exec(text)?.[1] ?? 'unknown';
	},
	async start(setting, folder) {
		const file = join(folder, 'openbgpd.conf');
		const socket = join(folder, 'openbgpd.sock');
		// It changes its root to this folder, which its service creates.
		await mkdir(pathAt(testedAge, '/run/openbgpd'), { recursive: true });
		await writeFile(file, openbgpdConfig(setting, socket), { mode: 0o600 });
		const daemon = new DaemonProcess([bgpd, '-d', '-f', file], join(folder, 'openbgpd.log'), {
			namespace: setting.namespace,
		});
		return new RunningOpenbgpd(daemon, socket);
	},
};

function openbgpdConfig(
	{ address, port, asNumber, routerId, remote, families, originate, ...setting }: PeerSetting,
	socket: string,
): string {
	const external = asNumber !== remote.asNumber;
	const network = ({ prefix, nextHop, communities = [], largeCommunities = [], med }: PeerRoute) => {
		const sets = [
			`nexthop ${nextHop}`,
			...communities.map((community) => `community ${community}`),
			...largeCommunities.map((community) => `large-community ${community}`),
			...(med === undefined ? [] : [`med ${med}`]),
		];
		return `network ${prefix} set { ${sets.join(', ')} }`;
	};
	const families4and6 = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;
	return [
		`AS ${asNumber}`,
		`router-id ${routerId}`,
		'fib-update no',
		// Version 9 announces no route with an unreachable next hop.
		'nexthop qualify via default',
		`socket "${socket}"`,
		`listen on ${address} port ${port}`,
		`holdtime ${setting.holdTimeSeconds ?? 9}`,
		...originate.map(network),
		`neighbor ${remote.address} {`,
		`	remote-as ${remote.asNumber}`,
		`	port ${remote.port}`,
		`	local-address ${address}`,
		external && !setting.ttlSecurity ? '	multihop 2' : '',
		setting.ttlSecurity ? '	ttl-security yes' : '',
		'	descr "dut"',
		setting.password === undefined ? '' : `	tcp md5sig password "${setting.password}"`,
		...families.map((family) => `	announce ${families4and6[family]} unicast`),
		setting.restartSeconds === undefined ? '	announce restart no' : '	announce restart yes',
		setting.role === undefined ? '' : openPolicy(setting.role),
		setting.addPath ? '	announce add-path recv yes\n	announce add-path send all' : '',
		'	enforce neighbor-as no',
		'}',
		external ? 'allow from ebgp\nallow to ebgp' : 'allow from ibgp\nallow to ibgp',
		// Without it a multihop session announces its own address, which is in 127.0.0.0/8.
		external ? 'match to ebgp set nexthop no-modify' : '',
		'',
	].join('\n');
}

/** RFC 9234. Version 9 has a statement of its own for the role. */
const openPolicy = (role: string): string =>
	testedAge === 'sid' ? `	role ${role}\n	announce policy yes` : `	announce policy ${role}`;

interface OpenbgpdRoute {
	readonly prefix: string;
	readonly aspath?: string;
	/** NEXT_HOP; `true_nexthop` is the gateway to it. */
	readonly exit_nexthop?: string;
	readonly neighbor?: { readonly description?: string };
	readonly localpref?: number;
	readonly metric?: number;
	readonly communities?: readonly string[];
	readonly large_communities?: readonly string[];
	readonly attributes?: readonly Readonly<Record<string, unknown>>[];
}

class RunningOpenbgpd implements RunningPeer {
	readonly name = 'OpenBGPD';
	readonly #daemon: DaemonProcess;
	readonly #socket: string;

	constructor(daemon: DaemonProcess, socket: string) {
		this.#daemon = daemon;
		this.#socket = socket;
	}

	async isEstablished(): Promise<boolean> {
		const answer = await jsonOf<{ neighbors?: readonly { state?: string }[] }>(bgpctl, [
			'-s',
			this.#socket,
			'-j',
			'show',
			'neighbor',
		]);
		return answer?.neighbors?.[0]?.state === 'Established';
	}

	async routes(): Promise<SeenRoute[]> {
		const answer = await jsonOf<{ rib?: readonly OpenbgpdRoute[] }>(bgpctl, [
			'-s',
			this.#socket,
			'-j',
			'show',
			'rib',
			'detail',
		]);
		return (answer?.rib ?? []).filter(({ neighbor }) => neighbor?.description === 'dut').map(openbgpdSeen);
	}

	async refresh(): Promise<void> {
		await outputOf(bgpctl, ['-s', this.#socket, 'neighbor', 'dut', 'refresh']);
	}

	stop(): Promise<void> {
		return this.#daemon.end('SIGTERM');
	}

	kill(): Promise<void> {
		return this.#daemon.end('SIGKILL');
	}

	log(): string {
		return this.#daemon.log();
	}
}

function openbgpdSeen(route: OpenbgpdRoute): SeenRoute {
	const attribute = <T>(type: string, name: string) =>
		route.attributes?.find((candidate) => candidate['type'] === type)?.[name] as T | undefined;
	return seen({
		prefix: route.prefix,
		nextHop: route.exit_nexthop ?? '',
		asPath: route.aspath?.split(/\s+/).filter(Boolean).map(Number) ?? [],
		communities: route.communities ?? [],
		largeCommunities: route.large_communities ?? [],
		localPref: route.localpref,
		med: route.metric,
		originatorId: attribute<string>('Originator Id', 'originator'),
		clusterList: attribute<readonly string[]>('Cluster Id List', 'cluster_list'),
	});
}
