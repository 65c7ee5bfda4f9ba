import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { seen } from './bird.ts';
import { DaemonProcess, jsonOf, outputOf } from './process.ts';
import type { PeerKind, PeerRoute, PeerSetting, RunningPeer, SeenRoute } from './types.ts';

const gobgpd = '/usr/bin/gobgpd';
const gobgp = '/usr/bin/gobgp';
const apiPort = 50051;

/** GoBGP; its own routes are added over gRPC after its start. */
export const gobgpPeer: PeerKind = {
	name: 'GoBGP',
	files: [gobgpd, gobgp],
	features: new Set([
		'add-path',
		'graceful-restart',
		'graceful-helper',
		'answers-refresh',
		'ttl-security',
		'extended-next-hop',
	]),
	async version() {
		return /version ([\d.]+)/.exec(await outputOf(gobgpd, ['--version']))?.[1] ?? 'unknown';
	},
	async start(setting, folder) {
		const file = join(folder, 'gobgp.toml');
		await writeFile(file, gobgpConfig(setting));
		const api = setting.namespace === undefined ? setting.address : '127.0.0.1';
		const command = [gobgpd, '-t', 'toml', '-f', file, '--api-hosts', `${api}:${apiPort}`, '--pprof-disable'];
		const daemon = new DaemonProcess(command, join(folder, 'gobgp.log'), { namespace: setting.namespace });
		const peer = new RunningGobgp(daemon, ['-u', api, '-p', `${apiPort}`], setting);
		await peer.originate();
		return peer;
	},
};

function gobgpConfig(setting: PeerSetting): string {
	const { address, port, asNumber, routerId, remote, families, restartSeconds } = setting;
	const hold = setting.holdTimeSeconds ?? 9;
	const external = asNumber !== remote.asNumber;
	return [
		'[global.config]',
		`as = ${asNumber}`,
		`router-id = "${routerId}"`,
		`port = ${port}`,
		`local-address-list = ["${address}"]`,
		'[[neighbors]]',
		'[neighbors.config]',
		`neighbor-address = "${remote.address}"`,
		`peer-as = ${remote.asNumber}`,
		setting.password === undefined ? '' : `auth-password = "${setting.password}"`,
		'[neighbors.transport.config]',
		`local-address = "${address}"`,
		`remote-port = ${remote.port}`,
		setting.ttlSecurity ? '[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255' : '',
		external && !setting.ttlSecurity ? '[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = 2' : '',
		'[neighbors.timers.config]',
		'connect-retry = 1',
		'idle-hold-time-after-reset = 1',
		`hold-time = ${hold}`,
		`keepalive-interval = ${Math.max(1, Math.floor(hold / 3))}`,
		restartSeconds === undefined
			? ''
			: `[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = ${restartSeconds}`,
		...families.flatMap((family) => [
			'[[neighbors.afi-safis]]',
			'[neighbors.afi-safis.config]',
			`afi-safi-name = "${family}-unicast"`,
			setting.addPath ? '[neighbors.afi-safis.add-paths.config]\nreceive = true\nsend-max = 8' : '',
			restartSeconds === undefined ? '' : '[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true',
		]),
		'',
	].join('\n');
}

interface GobgpAttribute {
	readonly type: number;
	readonly nexthop?: string;
	readonly value?: unknown;
	readonly metric?: number;
	readonly as_paths?: readonly { readonly asns: readonly number[] }[];
	readonly communities?: readonly number[];
}

interface GobgpPath {
	readonly nlri: { readonly prefix: string };
	readonly attrs: readonly GobgpAttribute[];
}

class RunningGobgp implements RunningPeer {
	readonly name = 'GoBGP';
	readonly #daemon: DaemonProcess;
	readonly #api: readonly string[];
	readonly #setting: PeerSetting;

	constructor(daemon: DaemonProcess, api: readonly string[], setting: PeerSetting) {
		this.#daemon = daemon;
		this.#api = api;
		this.#setting = setting;
	}

	#ask<T>(...command: string[]): Promise<T | undefined> {
		return jsonOf<T>(gobgp, [...this.#api, '-j', ...command], this.#setting.namespace);
	}

	/** Adds the routes, once its API responds. */
	async originate(): Promise<void> {
		for (let attempt = 0; attempt < 100 && (await this.#ask('global')) === undefined; attempt++) await pause(100);
		for (const route of this.#setting.originate)
			await outputOf(gobgp, [...this.#api, 'global', 'rib', 'add', ...gobgpRoute(route)], this.#setting.namespace);
	}

	async isEstablished(): Promise<boolean> {
		const neighbour = await this.#ask<{ state?: { session_state?: number | string } }>(
			'neighbor',
			this.#setting.remote.address,
		);
		return neighbour?.state?.session_state === 6 || neighbour?.state?.session_state === 'ESTABLISHED';
	}

	async routes(): Promise<SeenRoute[]> {
		const routes: SeenRoute[] = [];
		for (const family of this.#setting.families) {
			const table = await this.#ask<Record<string, readonly GobgpPath[]>>(
				'neighbor',
				this.#setting.remote.address,
				'adj-in',
				'-a',
				family,
			);
			for (const paths of Object.values(table ?? {})) routes.push(...paths.map(gobgpSeen));
		}
		return routes;
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

function gobgpRoute({ prefix, nextHop, communities = [], largeCommunities = [], med }: PeerRoute): string[] {
	return [
		prefix,
		'nexthop',
		nextHop,
		...(med === undefined ? [] : ['med', `${med}`]),
		...(communities.length > 0 ? ['community', communities.join(',')] : []),
		...(largeCommunities.length > 0 ? ['large-community', largeCommunities.join(',')] : []),
		...(prefix.includes(':') ? ['-a', 'ipv6'] : []),
	];
}

function gobgpSeen({ nlri, attrs }: GobgpPath): SeenRoute {
	const attribute = (type: number) => attrs.find((candidate) => candidate.type === type);
	const value = <T>(type: number) => attribute(type)?.value as T | undefined;
	const large = value<readonly { ASN: number; LocalData1: number; LocalData2: number }[]>(32) ?? [];
	return seen({
		prefix: nlri.prefix,
		nextHop: attribute(3)?.nexthop ?? attribute(14)?.nexthop ?? '',
		asPath: (attribute(2)?.as_paths ?? []).flatMap(({ asns }) => asns),
		communities: (attribute(8)?.communities ?? []).map((community) => `${community >>> 16}:${community & 0xffff}`),
		largeCommunities: large.map(({ ASN, LocalData1, LocalData2 }) => `${ASN}:${LocalData1}:${LocalData2}`),
		localPref: value<number>(5),
		med: attribute(4)?.metric,
		originatorId: value<string>(9),
		clusterList: value<readonly string[]>(10),
	});
}
