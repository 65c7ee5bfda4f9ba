import { existsSync, readFileSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { testedAge } from '../../../lab/debian.ts';
import { seen } from './bird.ts';
import { DaemonProcess, outputOf } from './process.ts';
import type { PeerKind, PeerRoute, PeerSetting, RunningPeer, SeenRoute } from './types.ts';

const exabgp = '/usr/sbin/exabgp';

/** ExaBGP 4: it keeps no table; received routes are read from its JSON lines. */
export const exabgpPeer: PeerKind = {
	name: 'ExaBGP',
	files: [exabgp],
	// It closes the connection on a ROUTE-REFRESH from its peer, and responds to none.
	features: new Set([
		'add-path',
		'graceful-restart',
		'extended-message',
		'enhanced-refresh',
		'extended-next-hop',
		'ttl-security',
	]),
	async version() {
		const argument = testedAge === 'sid' ? 'version' : '--version';
		return /ExaBGP\s*:\s*([\d.]+)/.exec(await outputOf(exabgp, [argument]))?.[1] ?? 'unknown';
	},
	async start(setting, folder) {
		const [file, script, commands, received] = ['exabgp.conf', 'process.sh', 'commands', 'received'].map((name) =>
			join(folder, name),
		);
		if (file === undefined || script === undefined || commands === undefined || received === undefined)
			throw new RangeError('four names');
		// The test's end of its API: its output is written to one file, its input is read from
		// another.
		await writeFile(script, `#!/bin/sh\nexec 3<&0\ncat <&3 >> '${received}' &\nexec tail -n +1 -f '${commands}'\n`, {
			mode: 0o755,
		});
		await writeFile(commands, '');
		await writeFile(file, exabgpConfig(setting, script));
		const env = {
			// The names with dots are lost in a shell, which `enter` needs.
			exabgp_daemon_drop: 'false',
			exabgp_tcp_bind: setting.address,
			exabgp_tcp_port: `${setting.port}`,
			exabgp_api_cli: 'false',
			exabgp_api_ack: 'false',
			exabgp_log_level: 'INFO',
			NODE_EXTRA_CA_CERTS: '',
		};
		const daemon = new DaemonProcess([exabgp, file], join(folder, 'exabgp.log'), {
			namespace: setting.namespace,
			env,
			cwd: folder,
		});
		return new RunningExabgp(daemon, received, commands, setting);
	},
};

function exabgpConfig(
	{ address, port, asNumber, routerId, remote, families, originate, ...setting }: PeerSetting,
	script: string,
): string {
	const route = ({ prefix, nextHop, communities = [], largeCommunities = [], med }: PeerRoute) =>
		[
			`unicast ${prefix} next-hop ${nextHop}`,
			communities.length > 0 ? `community [ ${communities.join(' ')} ]` : '',
			largeCommunities.length > 0 ? `large-community [ ${largeCommunities.join(' ')} ]` : '',
			med === undefined ? '' : `med ${med}`,
		].join(' ');
	const announced = families.map((family) => {
		const routes = originate.filter(({ prefix }) => prefix.includes(':') === (family === 'ipv6'));
		return `		${family} { ${routes.map((each) => `${route(each)};`).join(' ')} }`;
	});
	return [
		`process watch { run ${script}; encoder json; }`,
		`neighbor ${remote.address} {`,
		`	router-id ${routerId};`,
		`	local-address ${address};`,
		`	local-as ${asNumber};`,
		`	peer-as ${remote.asNumber};`,
		`	hold-time ${setting.holdTimeSeconds ?? 9};`,
		`	connect ${remote.port};`,
		`	listen ${port};`,
		setting.ttlSecurity ? '	outgoing-ttl 255;\n	incoming-ttl 255;' : '',
		setting.password === undefined ? '' : `	md5-password "${setting.password}";`,
		`	capability { route-refresh enable; graceful-restart ${setting.restartSeconds ?? 'disable'}; asn4 enable; ${setting.addPath ? 'add-path send/receive;' : ''}${setting.extendedNextHop ? 'nexthop enable;' : ''} }`,
		setting.extendedNextHop ? '	nexthop { ipv4 unicast ipv6; }' : '',
		`	family { ${families.map((family) => `${family} unicast;`).join(' ')} }`,
		'	api { processes [ watch ]; neighbor-changes; receive { parsed; update; } }',
		'	announce {',
		...announced,
		'	}',
		'}',
		'',
	].join('\n');
}

interface ExabgpLine {
	readonly type: string;
	readonly neighbor?: {
		readonly state?: string;
		readonly message?: {
			readonly update?: {
				readonly attribute?: Readonly<Record<string, unknown>>;
				readonly announce?: Readonly<Record<string, Readonly<Record<string, readonly ExabgpNlri[]>>>>;
				readonly withdraw?: Readonly<Record<string, readonly ExabgpNlri[]>>;
			};
		};
	};
}

interface ExabgpNlri {
	readonly nlri: string;
	readonly 'path-information'?: string;
}

class RunningExabgp implements RunningPeer {
	readonly name = 'ExaBGP';
	readonly #daemon: DaemonProcess;
	readonly #received: string;
	readonly #commands: string;
	readonly #setting: PeerSetting;

	constructor(daemon: DaemonProcess, received: string, commands: string, setting: PeerSetting) {
		this.#daemon = daemon;
		this.#received = received;
		this.#commands = commands;
		this.#setting = setting;
	}

	#lines(): ExabgpLine[] {
		if (!existsSync(this.#received)) return [];
		const lines = readFileSync(this.#received, 'utf8').split('\n').slice(0, -1);
		// The data of a NOTIFICATION is included unescaped, with control characters.
		return lines
			.filter((line) => line.startsWith('{'))
			.map((line) => JSON.parse(line.replaceAll(/\p{Cc}/gu, ' ')) as ExabgpLine);
	}

	async isEstablished(): Promise<boolean> {
		const states = this.#lines().flatMap(({ type, neighbor }) => (type === 'state' ? [neighbor?.state] : []));
		return states.at(-1) === 'up';
	}

	async routes(): Promise<SeenRoute[]> {
		return foldUpdates(this.#lines());
	}

	async refresh(): Promise<void> {
		const commands = this.#setting.families.map(
			(family) => `neighbor ${this.#setting.remote.address} announce route-refresh ${family} unicast\n`,
		);
		await appendFile(this.#commands, commands.join(''));
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
 * The state after all the lines: announced and not withdrawn, since the session was last
 * established.
 */
function foldUpdates(lines: readonly ExabgpLine[]): SeenRoute[] {
	const routes = new Map<string, SeenRoute>();
	const key = ({ nlri, 'path-information': path = '' }: ExabgpNlri) => `${nlri} ${path}`;
	for (const { type, neighbor } of lines) {
		if (type === 'state' && neighbor?.state !== 'up') routes.clear();
		const update = neighbor?.message?.update;
		for (const withdrawn of Object.values(update?.withdraw ?? {}))
			for (const nlri of withdrawn) routes.delete(key(nlri));
		for (const byNextHop of Object.values(update?.announce ?? {})) {
			for (const [nextHop, announced] of Object.entries(byNextHop)) {
				for (const nlri of announced)
					if (nlri.nlri !== undefined) routes.set(key(nlri), exabgpSeen(nlri.nlri, nextHop, update?.attribute ?? {}));
			}
		}
	}
	return [...routes.values()];
}

/** Version 4: an array of numbers. Version 5: segments by their index, each with its numbers. */
function asPathOf(shown: unknown): readonly number[] {
	if (Array.isArray(shown)) return shown as readonly number[];
	const segments = (shown ?? {}) as Readonly<Record<string, { readonly value: readonly number[] }>>;
	return Object.values(segments).flatMap(({ value }) => value);
}

function exabgpSeen(prefix: string, nextHop: string, attribute: Readonly<Record<string, unknown>>): SeenRoute {
	// The shapes are those of ExaBGP's JSON encoder, versions 4 and 5.
	const tuples = (name: string) =>
		((attribute[name] ?? []) as readonly (readonly number[])[]).map((tuple) => tuple.join(':'));
	return seen({
		prefix,
		nextHop,
		asPath: asPathOf(attribute['as-path']),
		communities: tuples('community'),
		largeCommunities: tuples('large-community'),
		localPref: attribute['local-preference'] as number | undefined,
		med: attribute['med'] as number | undefined,
		originatorId: attribute['originator-id'] as string | undefined,
		clusterList: attribute['cluster-list'] as readonly string[] | undefined,
	});
}
