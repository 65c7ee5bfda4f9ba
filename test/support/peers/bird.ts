import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonProcess, outputOf } from './process.ts';
import type { PeerKind, PeerRoute, PeerSetting, RunningPeer, SeenRoute } from './types.ts';

/** A BIRD with its programs in `folder`. */
const birdKind = (name: string, folder: string): PeerKind => ({
	name,
	files: [`${folder}/bird`, `${folder}/birdc`],
	features: new Set([
		'add-path',
		'graceful-restart',
		'graceful-helper',
		'answers-refresh',
		'ttl-security',
		'extended-next-hop',
		'long-lived',
		'role',
		'extended-message',
		'enhanced-refresh',
	]),
	async version() {
		const text = await outputOf('/bin/sh', ['-c', `${folder}/bird --version 2>&1`]);
		return /version ([\d.]+)/.exec(text)?.[1] ?? 'unknown';
	},
	async start(setting, home) {
		const file = join(home, 'bird.conf');
		await writeFile(file, birdConfig(setting));
		const socket = join(home, 'bird.ctl');
		const daemon = new DaemonProcess([`${folder}/bird`, '-f', '-c', file, '-s', socket], join(home, 'bird.log'), {
			namespace: setting.namespace,
		});
		return new RunningBird(name, daemon, `${folder}/birdc`, socket);
	},
});

/** BIRD 2. */
export const birdPeer = birdKind('BIRD', '/usr/sbin');

/** BIRD 3, which is beside BIRD 2 in the folder of Debian unstable alone. */
export const bird3Peer = birdKind('BIRD3', '/opt/bird3/usr/sbin');

function birdConfig(setting: PeerSetting): string {
	const { address, port, asNumber, routerId, remote, families, originate, nextHop } = setting;
	const external = asNumber !== remote.asNumber;
	const loopback = address.startsWith('127.');
	const channel = (family: 'ipv4' | 'ipv6') => {
		const options = [
			'import all; export where source = RTS_STATIC;',
			setting.addPath ? 'add paths on;' : '',
			setting.extendedNextHop && family === 'ipv4' ? 'extended next hop on;' : `next hop address ${nextHop[family]};`,
		];
		return `	${family} { ${options.join(' ')} };`;
	};
	return [
		'log stderr all;',
		`router id ${routerId};`,
		'protocol device {}',
		...families.map((family) => {
			const routes = originate.filter(({ prefix }) => prefix.includes(':') === (family === 'ipv6'));
			return `protocol static { ${family}; ${routes.map(birdRoute).join(' ')} }`;
		}),
		'protocol bgp dut {',
		`	local ${address} port ${port} as ${asNumber};`,
		`	neighbor ${remote.address} port ${remote.port} as ${remote.asNumber};`,
		loopback ? '	strict bind;' : '	direct;',
		external && loopback ? '	multihop 2;' : '',
		`	hold time ${setting.holdTimeSeconds ?? 9};`,
		'	connect delay time 1; connect retry time 1; error wait time 1, 2;',
		setting.password === undefined ? '' : `	password "${setting.password}";`,
		setting.restartSeconds === undefined
			? '	graceful restart off;'
			: `	graceful restart on; graceful restart time ${setting.restartSeconds};`,
		setting.ttlSecurity ? '	ttl security on;' : '',
		setting.longLivedSeconds === undefined
			? ''
			: `	long lived graceful restart on; long lived stale time ${setting.longLivedSeconds};`,
		setting.role === undefined ? '' : `	local role ${setting.role};`,
		setting.extendedMessage ? '	enable extended messages on;' : '',
		...families.map(channel),
		'}',
		'',
	].join('\n');
}

function birdRoute({ prefix, communities = [], largeCommunities = [], med }: PeerRoute): string {
	const attributes = [
		...communities.map((community) => `bgp_community.add((${community.replace(':', ',')}));`),
		...largeCommunities.map((community) => `bgp_large_community.add((${community.replaceAll(':', ',')}));`),
		med === undefined ? '' : `bgp_med = ${med};`,
	];
	return `route ${prefix} blackhole { ${attributes.join(' ')} };`;
}

class RunningBird implements RunningPeer {
	readonly name: string;
	/** BIRD 3.4 was seen to send no request at this command. */
	readonly refresh?: () => Promise<void>;
	readonly #daemon: DaemonProcess;
	readonly #client: string;
	readonly #socket: string;

	constructor(name: string, daemon: DaemonProcess, client: string, socket: string) {
		this.name = name;
		this.#daemon = daemon;
		this.#client = client;
		this.#socket = socket;
		if (name === 'BIRD')
			this.refresh = async () => {
				await this.#ask('reload', 'in', 'dut');
			};
	}

	#ask(...command: string[]): Promise<string> {
		return outputOf(this.#client, ['-s', this.#socket, ...command]);
	}

	async isEstablished(): Promise<boolean> {
		return /^dut\s+BGP\s+\S+\s+up\s.*Established/m.test(await this.#ask('show', 'protocols', 'dut'));
	}

	async routes(): Promise<SeenRoute[]> {
		return parseBirdRoutes(await this.#ask('show', 'route', 'protocol', 'dut', 'all'));
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

/**
 * Reads `show route all`: a line per prefix, a line per further path, indented lines of attributes
 * below each.
 */
export function parseBirdRoutes(text: string): SeenRoute[] {
	const routes: { prefix: string; attributes: Map<string, string> }[] = [];
	let prefix = '';
	for (const line of text.split('\n')) {
		const head = /^(\S+\/\d+)?\s+\S+ \[dut /.exec(line);
		if (head !== null) {
			prefix = head[1] ?? prefix;
			routes.push({ prefix, attributes: new Map() });
		}
		// `BGP.as_path` in BIRD 2, `bgp_path` in BIRD 3.
		const [, label = '', value = ''] = /^\s+(?:BGP\.|bgp_)(\w+): ?(.*)$/.exec(line) ?? [];
		if (label !== '') routes.at(-1)?.attributes.set(label === 'path' ? 'as_path' : label, value);
	}
	return routes.map(({ prefix, attributes }) => {
		const words = (name: string) => attributes.get(name)?.split(/\s+/).filter(Boolean) ?? [];
		const tuples = (name: string) =>
			[...(attributes.get(name) ?? '').matchAll(/\(([^)]*)\)/g)].map(([, tuple = '']) =>
				tuple.replaceAll(/,\s*/g, ':'),
			);
		const number = (name: string) => (attributes.has(name) ? Number(attributes.get(name)) : undefined);
		return seen({
			prefix,
			nextHop: words('next_hop')[0] ?? '',
			asPath: words('as_path').map(Number),
			communities: tuples('community'),
			largeCommunities: tuples('large_community'),
			localPref: number('local_pref'),
			med: number('med'),
			originatorId: attributes.get('originator_id'),
			clusterList: attributes.has('cluster_list') ? words('cluster_list') : undefined,
		});
	});
}

/** Removes keys without a value: absent values do not show. */
export function seen(route: { readonly [K in keyof SeenRoute]: SeenRoute[K] | undefined }): SeenRoute {
	// Only optional keys are ever undefined; those are omitted.
	return Object.fromEntries(Object.entries(route).filter(([, value]) => value !== undefined)) as unknown as SeenRoute;
}
