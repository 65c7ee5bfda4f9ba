import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Dut } from './dut.ts';
import type { PeerKind, PeerRoute, PeerSetting, RunningPeer } from './peers/index.ts';

/** The AS number and addresses of one peer of a bench. */
export interface BenchPlace {
	readonly address: string;
	readonly asNumber: number;
	readonly routerId: string;
	readonly nextHop: { readonly ipv4: string; readonly ipv6: string };
	/** A /16 and a /48 for this peer only. */
	readonly prefixes: { readonly ipv4: string; readonly ipv6: string };
}

/** The parts of a bench: our daemon, and peers with one session each to it. */
export interface BenchOptions {
	readonly kinds: readonly PeerKind[];
	/** Settings of our daemon. */
	readonly asNumber: number;
	/** `asNumber`: internal; otherwise each peer has its own, external one. */
	readonly internal?: boolean;
	/** Added to each peer's setting. */
	readonly peer?: Partial<PeerSetting>;
	/** Also originated by every peer. */
	readonly originate?: (place: BenchPlace) => readonly PeerRoute[];
	/** Keys of `bgp.peers[]` of our daemon's file. */
	readonly session?: Readonly<Record<string, unknown>>;
	/** Keys of `bgp` of our daemon's file. */
	readonly bgp?: Readonly<Record<string, unknown>>;
	/** Policies besides `all`, which accepts. */
	readonly policies?: Readonly<Record<string, unknown>>;
	/** Runs between the creation of the folder and the start of the daemons. */
	readonly prepare?: (folder: string) => Promise<void>;
	/** Two network namespaces joined by a veth instead of loopback; then only one peer. */
	readonly link?: BenchLink;
}

/** Two ends of a veth, each in a namespace. */
export interface BenchLink {
	readonly own: { readonly namespace: string; readonly address: string };
	readonly peer: { readonly namespace: string; readonly address: string };
}

/** Our daemon and its peers, running. */
export interface Bench {
	readonly dut: Dut;
	readonly peers: readonly (RunningPeer & { readonly place: BenchPlace })[];
	/** The routes that our daemon originates. */
	readonly own: { readonly ipv4: string; readonly ipv6: string };
	/** Starts the peer of that name again, with the same configuration. */
	restart(name: string): Promise<void>;
	/** Polls until `condition`; fails with `what` and the ends of all logs. */
	until(what: string, condition: () => Promise<boolean>, mostSeconds?: number): Promise<void>;
}

const port = 1790;
const own = { ipv4: '192.0.2.0/24', ipv6: '2001:db8:1::/48' };

/** Runs `body` with our daemon and all the peers started, and stops them in any case. */
export async function withBench(options: BenchOptions, body: (bench: Bench) => Promise<void>): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-interop-'));
	// A part of loopback that no other run uses: 2 random octets.
	const corner = `127.${16 + Math.floor(Math.random() * 220)}.${Math.floor(Math.random() * 256)}`;
	const places = options.kinds.map((_, index) => placeOf(corner, index, options));
	const address = options.link?.own.address ?? `${corner}.1`;
	const running: RunningPeer[] = [];
	let dut: Dut | undefined;
	try {
		await options.prepare?.(folder);
		dut = await Dut.start(folder, dutConfig(options, address, places), options.link?.own.namespace);
		const start = async (index: number) => {
			const [kind, place] = [options.kinds[index], places[index]];
			if (kind === undefined || place === undefined) throw new RangeError(`no peer ${index}`);
			const home = join(folder, kind.name);
			await mkdir(home, { recursive: true });
			running[index] = await kind.start(peerSetting(options, address, place), home);
		};
		await Promise.all(options.kinds.map((_, index) => start(index)));
		const under = dut;
		await body({
			dut,
			own,
			get peers() {
				return running.map((peer, index) =>
					Object.assign(peer, { place: places[index] ?? placeOf(corner, index, options) }),
				);
			},
			restart: (name) => start(options.kinds.findIndex((kind) => kind.name === name)),
			until: async (what, condition, mostSeconds = 45) => {
				const deadline = performance.now() + mostSeconds * 1000;
				while (!(await condition())) {
					if (performance.now() > deadline || !under.running)
						throw new Error(`never came true: ${what}\n${logs(under, running)}`);
					await pause(200);
				}
			},
		});
	} finally {
		await Promise.all([dut?.stop(), ...running.map((peer) => peer.stop())]);
		await rm(folder, { recursive: true, force: true });
	}
}

function placeOf(corner: string, index: number, { asNumber, internal, link }: BenchOptions): BenchPlace {
	const number = index + 2;
	return {
		address: link?.peer.address ?? `${corner}.${number}`,
		asNumber: internal ? asNumber : 65_000 + number,
		routerId: `10.0.0.${number}`,
		nextHop: { ipv4: `10.0.0.${number}`, ipv6: `2001:db8::${number}` },
		prefixes: { ipv4: `10.${number}.0.0/16`, ipv6: `2001:db8:${number}::/48` },
	};
}

function dutConfig(
	{ kinds, asNumber, session, bgp, policies }: BenchOptions,
	address: string,
	places: readonly BenchPlace[],
) {
	return {
		bgp: {
			asNumber,
			routerId: '10.0.0.1',
			listen: { address, port },
			...bgp,
			peers: kinds.map(({ name }, index) => ({
				name,
				address: places[index]?.address,
				port,
				asNumber: places[index]?.asNumber,
				localAddress: address,
				holdTimeSeconds: 9,
				connectRetrySeconds: 1,
				// Several daemons refuse a next hop in 127.0.0.0/8.
				nextHopSelf: { ipv4: '10.0.0.1', ipv6: '2001:db8::1' },
				...(places[index]?.asNumber === asNumber ? {} : { importPolicies: ['all'], exportPolicies: ['all'] }),
				...(address.startsWith('127.') && places[index]?.asNumber !== asNumber ? { multihopTtl: 2 } : {}),
				...session,
			})),
			originate: [
				{ prefix: own.ipv4, nextHop: '10.0.0.1', communities: ['65001:7'], largeCommunities: ['65001:7:8'] },
				{ prefix: own.ipv6, nextHop: '2001:db8::1' },
			],
		},
		policies: { all: { otherwise: 'accept' }, ...policies },
	};
}

function peerSetting(
	{ asNumber, peer, originate, link }: BenchOptions,
	address: string,
	place: BenchPlace,
): PeerSetting {
	const { nextHop, prefixes, asNumber: peerAs, routerId } = place;
	return {
		address: place.address,
		port,
		asNumber: peerAs,
		routerId,
		remote: { address, port, asNumber },
		families: ['ipv4', 'ipv6'],
		nextHop,
		originate: [
			// RFC 8950: the peer's own IPv6 address.
			{
				prefix: prefixes.ipv4,
				nextHop: peer?.extendedNextHop ? place.address : nextHop.ipv4,
				communities: [`${peerAs % 65_536}:1`],
				largeCommunities: [`${peerAs}:1:2`],
			},
			{ prefix: prefixes.ipv6, nextHop: nextHop.ipv6 },
			...(originate?.(place) ?? []),
		],
		...(link === undefined ? {} : { namespace: link.peer.namespace }),
		...peer,
	};
}

function logs(dut: Dut, peers: readonly RunningPeer[]): string {
	const end = (text: string) => text.trimEnd().split('\n').slice(-25).join('\n');
	return [`--- our daemon\n${end(dut.log())}`, ...peers.map((peer) => `--- ${peer.name}\n${end(peer.log())}`)].join(
		'\n',
	);
}
