/**
 * A speaker with the real RIB, and neighbours on TCP that send the test's messages and record the
 * received ones.
 */
import type { ExecutionContext } from 'ava';
import {
	type Capability,
	endOfRib,
	endOfRibMessage,
	type Nlri,
	type PacketContext,
	type PathAttributes,
	packetContext,
	updateMessage,
} from 'bgp-packet';

import {
	createRib,
	type PeerOptions,
	type Policy,
	peerOptions,
	type Rib,
	type RibOptions,
	Speaker,
} from '../../src/bgp/index.ts';
import {
	type Clock,
	type Family,
	formatPrefix,
	parsePrefix,
	prefixKey,
	silentLogger,
	systemClock,
} from '../../src/core/index.ts';
import { eventually } from './eventually.ts';
import { loopbackAddress, testPort } from './loopback.ts';
import { plainCapabilities, RawPeer } from './raw-peer.ts';
import { announcement } from './rib-bench.ts';

export const acceptAll: Policy = { name: 'all', terms: [], otherwise: 'accept' };
/** The policies that an external neighbour needs to exchange routes (RFC 8212). */
export const open = { importPolicies: [acceptAll], exportPolicies: [acceptAll] };

/** One neighbour. */
export interface WirePeerOptions {
	/** 65001 is internal. */
	readonly asNumber?: number;
	readonly routerId?: number;
	readonly options?: Partial<PeerOptions>;
	/** In addition to both families and four-octet AS numbers. */
	readonly capabilities?: readonly Capability[];
	/** Instead of all of them. */
	readonly only?: readonly Capability[];
	/** Path identifiers in sent and in received routes. */
	readonly addPath?: { readonly sends: boolean; readonly receives: boolean };
	/** `false`: receives no routes that are originated here, so a test can't wait for one. */
	readonly hears?: boolean;
}

export interface WireBenchOptions<Name extends string> {
	readonly rib?: Partial<RibOptions>;
	readonly clock?: Clock;
	readonly peers: Readonly<Record<Name, WirePeerOptions>>;
}

let beacons = 0;

/** AS 65001 with identifier 10.0.0.1; the speaker runs, no session is connected yet. */
export class WireBench<Name extends string> {
	readonly rib: Rib;
	readonly speaker: Speaker;
	readonly address: string;
	readonly peers: Readonly<Record<Name, WirePeer>>;

	private constructor(rib: Rib, speaker: Speaker, address: string, peers: Readonly<Record<Name, WirePeer>>) {
		this.rib = rib;
		this.speaker = speaker;
		this.address = address;
		this.peers = peers;
	}

	static async start<Name extends string>(
		t: ExecutionContext,
		given: WireBenchOptions<Name>,
	): Promise<WireBench<Name>> {
		const address = loopbackAddress();
		const clock = given.clock ?? systemClock;
		const options: RibOptions = {
			localAsNumber: 65001,
			routerId: 0x0a000001,
			clusterId: 0x0a000001,
			clientToClientReflection: true,
			localAddresses: [address, '10.0.0.1'],
			...given.rib,
		};
		const rib = createRib(options, { clock, log: silentLogger, random: Math.random });
		const { localAsNumber: asNumber, routerId, clusterId } = options;
		const restart = { restarting: false, forwardingPreserved: false };
		const speaker = new Speaker(
			{
				asNumber,
				routerId,
				clusterId,
				listen: [{ address, port: testPort }],
				peers: [],
				ranges: [],
				gracefulRestart: restart,
			},
			{ rib, log: silentLogger, clock, random: Math.random },
		);
		t.teardown(() => speaker.stop({ graceful: false, reason: 'the test is over' }));
		rib.expectPeers([], 0);
		// Object.entries of a record with these names.
		const entries = (Object.entries(given.peers) as [Name, WirePeerOptions][]).map(
			([name, peer], index) => [name, new WirePeer(name, peer, address, index)] as const,
		);
		for (const [, peer] of entries) speaker.addPeer(peer.options);
		await speaker.start();
		t.teardown(() => {
			for (const [, peer] of entries) peer.raw?.close();
		});
		// One entry per name.
		return new WireBench(rib, speaker, address, Object.fromEntries(entries) as Record<Name, WirePeer>);
	}

	/** Every neighbour is established, or the named ones. */
	async connect(...names: readonly Name[]): Promise<void> {
		const chosen = names.length > 0 ? names : (Object.keys(this.peers) as Name[]);
		for (const name of chosen) {
			await this.peers[name].connect();
			await eventually(`${name} is established`, () => this.speaker.peer(name)?.state === 'established');
		}
	}

	/**
	 * All sent messages are processed: a route of our own, originated last, has reached every
	 * neighbour that receives such routes.
	 */
	async settle(): Promise<void> {
		// Messages of the neighbours are read before: they were written earlier to sockets of the
		// same machine.
		const sent = Object.values<WirePeer>(this.peers).filter(({ raw }) => raw !== undefined && !raw.closed);
		await eventually('everything was read', () =>
			sent.every((peer) => (this.speaker.peer(peer.name)?.messages.received.update ?? 0) >= peer.updatesSent),
		);
		const beacon = prefixKey(`198.18.${beacons >> 8}.${beacons++ & 0xff}/32`);
		this.rib.originate(beacon, { nextHop: '10.9.9.9' });
		for (const peer of sent) if (peer.hears) await eventually(`${peer.name} has the beacon`, () => peer.holds(beacon));
		await eventually('nothing is dirty', () => this.rib.statistics().dirty === 0);
		this.rib.withdrawOrigin(beacon);
		for (const peer of sent)
			if (peer.hears) await eventually(`${peer.name} lost the beacon`, () => !peer.holds(beacon));
	}
}

/** One neighbour, on TCP once it is connected. */
export class WirePeer {
	readonly name: string;
	readonly address: string;
	readonly options: PeerOptions;
	readonly hears: boolean;
	readonly endOfRibs: Family[] = [];
	raw: RawPeer | undefined;
	/** Capabilities of the next OPEN besides both families and four-octet AS numbers. */
	capabilities: readonly Capability[];
	/** Over all its sessions. */
	updatesSent = 0;
	/** Announcements and withdrawals in the order of arrival: `+10.0.0.0/8`, `-10.0.0.0/8`. */
	readonly history: string[] = [];
	readonly #held = new Map<string, PathAttributes>();
	readonly #given: WirePeerOptions;
	readonly #speaker: string;
	readonly #routerId: number;
	#read = 0;

	constructor(name: string, given: WirePeerOptions, speaker: string, index: number) {
		this.name = name;
		this.address = loopbackAddress();
		this.hears = given.hears ?? true;
		this.#given = given;
		this.capabilities = given.capabilities ?? [];
		this.#speaker = speaker;
		this.#routerId = given.routerId ?? 0x0b000001 + index;
		const { addPath } = given;
		const paths = addPath === undefined ? {} : { addPath: { receive: addPath.sends, send: addPath.receives } };
		this.options = peerOptions({
			name,
			address: this.address,
			asNumber: this.asNumber,
			passive: true,
			reflectorClient: false,
			...paths,
			...given.options,
		});
	}

	get asNumber(): number {
		return this.#given.asNumber ?? 65001;
	}

	async connect(): Promise<void> {
		this.#read = 0;
		this.endOfRibs.length = 0;
		this.#held.clear();
		const { addPath, only } = this.#given;
		const external = this.asNumber !== 65001;
		const mode = addPath?.sends ? (addPath.receives ? 'both' : 'send') : 'receive';
		const families = [1, 2].map((afi) => ({ afi, safi: 1, mode }) as const);
		const own: Capability[] = [
			...(only ?? plainCapabilities(this.asNumber)),
			...this.capabilities,
			...(addPath === undefined ? [] : [{ type: 'add-path', families } as const]),
		];
		const raw = await RawPeer.connect(this.#speaker, testPort, this.address);
		this.raw = raw;
		const extendedNextHop = () => own.some(({ type }) => type === 'extended-next-hop');
		const fourOctetAs = own.some(({ type }) => type === 'four-octet-as');
		const common: Partial<PacketContext> = {
			extendedMessage: true,
			enhancedRefresh: true,
			fourOctetAs,
			external,
			extendedNextHop,
		};
		raw.decoding = packetContext({ ...common, addPath: () => addPath?.receives === true });
		raw.encoding = packetContext({ ...common, addPath: () => addPath?.sends === true });
		const asNumber = this.asNumber > 0xffff ? 23456 : this.asNumber;
		await raw.establish({ asNumber, routerId: this.#routerId, capabilities: own });
	}

	/** The routes it holds now, by `prefix` or `prefix pathId`; beacons excluded. */
	get table(): ReadonlyMap<string, PathAttributes> {
		return this.#update();
	}

	/** Does it hold any path to a prefix? */
	holds(prefix: string): boolean {
		return [...this.#update().keys()].some((key) => key === prefix || key.startsWith(`${prefix} `));
	}

	/** The prefixes it holds, sorted. */
	get prefixes(): string[] {
		return [...this.#update().keys()].filter((key) => !key.startsWith('198.18.')).sort();
	}

	announce(prefixes: readonly string[], attributes: PathAttributes = {}, pathId?: number): void {
		this.send(
			announcement(
				prefixes,
				attributes,
				pathId,
				this.asNumber === 65001 ? undefined : this.asNumber,
				Uint8Array.of(10, 1, 0, this.#routerId & 0xff),
			),
		);
	}

	withdraw(prefixes: readonly string[], pathId?: number): void {
		const nlri: Nlri[] = prefixes.map((prefix) => ({
			...parsePrefix(prefix),
			...(pathId === undefined ? {} : { pathId }),
		}));
		const [first] = nlri;
		if (first?.family !== 'ipv6') this.send(updateMessage({ withdrawn: nlri }));
		else
			this.send(updateMessage({ attributes: { mpUnreach: { afi: 2, safi: 1, routes: { type: 'prefixes', nlri } } } }));
	}

	endOfRib(...afis: readonly number[]): void {
		for (const afi of afis) this.send(endOfRibMessage(afi, 1));
	}

	send(message: ReturnType<typeof updateMessage>): void {
		this.updatesSent++;
		this.raw?.send(message);
	}

	#update(): Map<string, PathAttributes> {
		const messages = this.raw?.messages ?? [];
		for (; this.#read < messages.length; this.#read++) {
			const message = messages[this.#read];
			if (message?.type !== 'update') continue;
			if (message.problems.length > 0) throw new Error(`${this.name} got ${message.problems.map(String).join(', ')}`);
			const mark = endOfRib(message);
			if (mark !== undefined) {
				this.endOfRibs.push(mark.afi === 1 ? 'ipv4' : 'ipv6');
				continue;
			}
			const { mpReach, mpUnreach, ...attributes } = message.attributes;
			for (const nlri of [...message.withdrawn, ...routesOf(mpUnreach)]) {
				this.history.push(`-${keyOf(nlri)}`);
				this.#held.delete(keyOf(nlri));
			}
			const reached = mpReach === undefined ? attributes : { ...attributes, nextHop: mpReach.nextHop };
			for (const nlri of routesOf(mpReach)) this.#hold(nlri, reached);
			for (const nlri of message.nlri) this.#hold(nlri, attributes);
		}
		return this.#held;
	}

	#hold(nlri: Nlri, attributes: PathAttributes): void {
		this.history.push(`+${keyOf(nlri)}`);
		this.#held.set(keyOf(nlri), attributes);
	}
}

function keyOf({ bytes, length, pathId }: Nlri): string {
	return pathId === undefined ? formatPrefix(bytes, length) : `${formatPrefix(bytes, length)} ${pathId}`;
}

function routesOf(attribute: PathAttributes['mpReach'] | PathAttributes['mpUnreach']): readonly Nlri[] {
	return attribute?.routes.type === 'prefixes' ? attribute.routes.nlri : [];
}
