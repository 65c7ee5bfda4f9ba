import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { testedAge } from '../../../lab/debian.ts';
import { seen } from './bird.ts';
import { DaemonProcess, jsonOf, outputOf } from './process.ts';
import type { PeerKind, PeerSetting, RunningPeer, SeenRoute } from './types.ts';

const bgpd = '/usr/lib/frr/bgpd';

/** FRR's bgpd without zebra. */
export const frrPeer: PeerKind = {
	name: 'FRR',
	files: [bgpd, '/usr/bin/vtysh'],
	features: new Set([
		'add-path',
		'graceful-restart',
		'graceful-helper',
		'answers-refresh',
		'ttl-security',
		'extended-next-hop',
		'role',
		'extended-message',
		'enhanced-refresh',
	]),
	async version() {
		return /version ([\d.]+)/.exec(await outputOf(bgpd, ['--version']))?.[1] ?? 'unknown';
	},
	async start(setting, folder) {
		const file = join(folder, 'frr.conf');
		await writeFile(file, frrConfig(setting));
		await mkdir(join(folder, 'vty'), { recursive: true });
		const command = [bgpd, '-Z', '-S', '-n', '-p', `${setting.port}`, '-l', setting.address, '-P', '0'];
		const places = ['--vty_socket', join(folder, 'vty'), '-i', join(folder, 'frr.pid'), '-f', file, '--log', 'stdout'];
		// FRR 10 refuses an OPEN with IPv6 on an IPv4 session: it sees no IPv6 address of the
		// interface, which it would get from zebra. FRR 8 does not have the option.
		const newer = testedAge === 'sid' ? ['--v6-with-v4-nexthop'] : [];
		const daemon = new DaemonProcess([...command, ...newer, ...places], join(folder, 'frr.log'), {
			namespace: setting.namespace,
			cwd: folder,
		});
		return new RunningFrr(daemon, join(folder, 'vty'), setting);
	},
};

function frrConfig({
	address,
	asNumber,
	routerId,
	remote,
	families,
	originate,
	nextHop,
	...setting
}: PeerSetting): string {
	const peer = `neighbor ${remote.address}`;
	const external = asNumber !== remote.asNumber;
	const hold = setting.holdTimeSeconds ?? 9;
	const tag = (index: number) => `ROUTE${index}`;
	const family = (name: 'ipv4' | 'ipv6') => [
		` address-family ${name} unicast`,
		...originate.flatMap(({ prefix }, index) =>
			prefix.includes(':') === (name === 'ipv6') ? [`  network ${prefix} route-map ${tag(index)}`] : [],
		),
		`  ${peer} activate`,
		setting.addPath ? `  ${peer} addpath-tx-all-paths` : '',
		setting.extendedNextHop ? '' : `  ${peer} route-map NEXT-HOP-${name} out`,
		' exit-address-family',
	];
	const origins = originate.flatMap(({ communities = [], largeCommunities = [], med }, index) => [
		`route-map ${tag(index)} permit 10`,
		communities.length > 0 ? ` set community ${communities.join(' ')}` : '',
		largeCommunities.length > 0 ? ` set large-community ${largeCommunities.join(' ')}` : '',
		med === undefined ? '' : ` set metric ${med}`,
		'!',
	]);
	return [
		'frr defaults traditional',
		'hostname frr',
		`router bgp ${asNumber}`,
		` bgp router-id ${routerId}`,
		' no bgp ebgp-requires-policy',
		' no bgp network import-check',
		' bgp allow-martian-nexthop',
		setting.restartSeconds === undefined
			? ' bgp graceful-restart-disable'
			: ` bgp graceful-restart\n bgp graceful-restart restart-time ${setting.restartSeconds}\n bgp graceful-restart preserve-fw-state`,
		` ${peer} remote-as ${remote.asNumber}`,
		setting.role === undefined ? '' : ` ${peer} local-role ${setting.role}`,
		` ${peer} port ${remote.port}`,
		` ${peer} update-source ${address}`,
		setting.ttlSecurity
			? ` ${peer} ttl-security hops 1`
			: external
				? ` ${peer} ebgp-multihop 2\n ${peer} disable-connected-check`
				: '',
		setting.extendedNextHop ? ` ${peer} capability extended-nexthop` : '',
		` ${peer} timers ${Math.max(1, Math.floor(hold / 3))} ${hold}`,
		` ${peer} timers connect 1`,
		setting.password === undefined ? '' : ` ${peer} password ${setting.password}`,
		...(families.includes('ipv4')
			? family('ipv4')
			: [' address-family ipv4 unicast', `  no ${peer} activate`, ' exit-address-family']),
		...(families.includes('ipv6') ? family('ipv6') : []),
		'!',
		...origins,
		'route-map NEXT-HOP-ipv4 permit 10',
		` set ip next-hop ${nextHop.ipv4}`,
		'!',
		'route-map NEXT-HOP-ipv6 permit 10',
		` set ipv6 next-hop global ${nextHop.ipv6}`,
		'!',
		'line vty',
		'!',
		'',
	].join('\n');
}

interface FrrPath {
	readonly aspath?: { readonly string?: string };
	readonly nexthops?: readonly { readonly ip?: string; readonly used?: boolean; readonly scope?: string }[];
	readonly peer?: { readonly peerId?: string };
	readonly community?: { readonly string?: string };
	readonly largeCommunity?: { readonly string?: string };
	readonly locPrf?: number;
	readonly metric?: number;
	readonly originatorId?: string;
	readonly clusterList?: { readonly list?: readonly string[] };
}

class RunningFrr implements RunningPeer {
	readonly name = 'FRR';
	readonly #daemon: DaemonProcess;
	readonly #vty: string;
	readonly #setting: PeerSetting;

	constructor(daemon: DaemonProcess, vty: string, setting: PeerSetting) {
		this.#daemon = daemon;
		this.#vty = vty;
		this.#setting = setting;
	}

	#ask<T>(command: string): Promise<T | undefined> {
		return jsonOf<T>('/usr/bin/vtysh', ['--vty_socket', this.#vty, '-c', command]);
	}

	async isEstablished(): Promise<boolean> {
		const neighbours = await this.#ask<Record<string, { bgpState?: string }>>('show bgp neighbors json');
		return neighbours?.[this.#setting.remote.address]?.bgpState === 'Established';
	}

	async routes(): Promise<SeenRoute[]> {
		const routes: SeenRoute[] = [];
		for (const family of this.#setting.families) {
			const table = await this.#ask<{ routes?: Record<string, readonly unknown[]> }>(`show bgp ${family} unicast json`);
			for (const prefix of Object.keys(table?.routes ?? {})) {
				const detail = await this.#ask<{ paths?: readonly FrrPath[] }>(`show bgp ${family} unicast ${prefix} json`);
				const learned = (detail?.paths ?? []).filter(({ peer }) => peer?.peerId === this.#setting.remote.address);
				routes.push(...learned.map((path) => this.#route(prefix, path)));
			}
		}
		return routes;
	}

	#route(prefix: string, path: FrrPath): SeenRoute {
		const words = (text: string | undefined) => text?.split(/\s+/).filter(Boolean) ?? [];
		return seen({
			prefix,
			nextHop: path.nexthops?.find(({ scope }) => scope !== 'link-local')?.ip ?? '',
			asPath: words(path.aspath?.string).map(Number).filter(Number.isInteger),
			communities: words(path.community?.string),
			largeCommunities: words(path.largeCommunity?.string),
			localPref: path.locPrf,
			med: path.metric,
			originatorId: path.originatorId,
			clusterList: path.clusterList?.list,
		});
	}

	async refresh(): Promise<void> {
		await outputOf('/usr/bin/vtysh', ['--vty_socket', this.#vty, '-c', `clear bgp ${this.#setting.remote.address} in`]);
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
