/** The backend `nftables`: frames through a namespace whose services our rules translate. */

import {
	addQuietNamespace,
	addRouterNamespace,
	ipBatch,
	macOf,
	removeNamespace,
} from '../../../lab/frames/namespaces.ts';
import { ethernetFrame, ipPacket, quotedPacket, readPacket, readTransport } from '../../../lab/frames/packets.ts';
import { HostReceiver, HostSender, inside, Wire } from '../../../lab/frames/sockets.ts';
import type { Cell, TableBackend } from '../../../lab/truth-table.ts';
import { type Family, formatAddress, parseAddress, parsePrefix, prefixContains } from '../../../src/core/index.ts';
import { Conntrack, loadRuleset } from '../../../src/linux/index.ts';
import { NftablesServices } from '../../../src/nftables/index.ts';
import type { ServiceProtocol } from '../../../src/services/index.ts';
import { KernelBehaviour } from './behaviour-kernel.ts';
import { type PacketCase, type PreparedCase, prepare, type ServicesCase, verdictText } from './cases.ts';

const protocolNumbers: Readonly<Record<ServiceProtocol, number>> = { tcp: 6, udp: 17, sctp: 132 };
const numbersOf: Readonly<Record<Family, readonly number[]>> = { ipv4: [1, 6, 17, 132], ipv6: [6, 17, 58, 132] };
/**
 * The node's own addresses on the side of pods; masqueraded packets to pods have them as source.
 */
const podSide = { ipv4: '10.255.255.254', ipv6: 'fd00:10:255::ffff:1' } as const;
const gateways = { ipv4: '169.254.1.1', ipv6: 'fe80::1:1' } as const;
const quietMs = 4;

/** A translator of services in a namespace. */
export interface Translator {
	/** Installs the services of a case. */
	apply(prepared: PreparedCase, item: PacketCase): Promise<void>;
	/** Removes the affinity of clients. */
	forgetClients(): Promise<void>;
	close(): Promise<void>;
}

/** The fate of one packet. */
type Fate =
	| { readonly type: 'forwarded'; readonly to: string; readonly port: number; readonly masqueraded: boolean }
	| { readonly type: 'rejected' }
	| { readonly type: 'delivered' }
	| { readonly type: 'nothing' };

interface Shot {
	readonly tag: number;
	readonly sourcePort: number;
	readonly from: string;
}

/** A node in a namespace: pods behind one interface, all other hosts behind the other one. */
export class ServiceNode {
	readonly namespace: string;
	readonly #wireNamespace: string;
	readonly #pods: Wire;
	readonly #uplink: Wire;
	readonly #receivers: readonly HostReceiver[];
	readonly #senders: Readonly<Record<Family, HostSender>>;
	/** Of the interface to all hosts but the pods, in `namespace`. */
	readonly uplinkIndex = 2002;
	readonly #macs = {
		pods: [macOf(1, 'wire'), macOf(1, 'router')],
		uplink: [macOf(2, 'wire'), macOf(2, 'router')],
	} as const;
	#tag = 1000;
	#sourcePort = 20_000;

	constructor(prefix: string) {
		this.namespace = `${prefix}n`;
		this.#wireNamespace = `${prefix}w`;
		addQuietNamespace(this.#wireNamespace);
		addRouterNamespace(this.namespace);
		const link = (index: number, name: 'pods' | 'uplink', wire: string) => {
			const [far, near] = this.#macs[name];
			ipBatch([
				`link add ${wire} index ${1000 + index} netns ${this.#wireNamespace} address ${far.text} ` +
					`type veth peer name ${name === 'pods' ? 'pods0' : 'eth0'} index ${2000 + index} address ` +
					`${near.text} netns ${this.namespace}`,
			]);
			ipBatch([`link set ${wire} up`], this.#wireNamespace);
			ipBatch([`link set ${name === 'pods' ? 'pods0' : 'eth0'} up`], this.namespace);
			return new Wire(this.#wireNamespace, 1000 + index);
		};
		this.#pods = link(1, 'pods', 'w1');
		this.#uplink = link(2, 'uplink', 'w2');
		this.#receivers = (['ipv4', 'ipv6'] as const).flatMap((family) =>
			numbersOf[family].map((protocol) => new HostReceiver(this.namespace, family, protocol)),
		);
		this.#senders = { ipv4: new HostSender(this.namespace, 'ipv4'), ipv6: new HostSender(this.namespace, 'ipv6') };
	}

	/** Addresses and routes of a case. */
	configure({ nodeAddresses }: PreparedCase, { options }: PacketCase): void {
		const neighbours = (device: string, mac: string) =>
			Object.values(gateways).map((address) => `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`);
		const width = (address: string) => (address.includes(':') ? '128 nodad' : '32');
		ipBatch(
			[
				'addr flush dev eth0 scope global',
				'addr flush dev pods0 scope global',
				...nodeAddresses.map((address) => `addr add ${address}/${width(address)} dev eth0`),
				...Object.values(podSide).map((address) => `addr add ${address}/${width(address)} dev pods0`),
				...neighbours('eth0', this.#macs.uplink[0].text),
				...neighbours('pods0', this.#macs.pods[0].text),
				...Object.values(gateways).map((gateway) => `route replace default via ${gateway} dev eth0 onlink`),
				`route replace ${options.podCIDR} via ` +
					`${gateways[options.podCIDR.includes(':') ? 'ipv6' : 'ipv4']} dev pods0 onlink`,
			],
			this.namespace,
		);
	}

	/** Sends packets of one kind one by one and returns the fate of each. */
	async send(
		packet: PreparedCase['packets'][number],
		origin: 'pod' | 'node' | 'outside',
		count: number,
	): Promise<Fate[]> {
		this.#drain(() => {});
		const shots = Array.from({ length: count }, () => this.#shoot(packet, origin));
		const fates = new Map<Shot, Fate>();
		const byTag = new Map(shots.map((shot) => [shot.tag, shot]));
		const byPort = new Map(shots.map((shot) => [shot.sourcePort, shot]));
		for (let quiet = 0; quiet < 2 && fates.size < count; quiet++) {
			const seen = this.#drain((bytes, host) => {
				const quoted = quotedPacket(bytes);
				const facts = readPacket(quoted ?? bytes);
				if (facts === undefined) return;
				const answered = quoted === undefined ? (facts.reset ? facts.destinationPort : undefined) : facts.sourcePort;
				const refused = answered === undefined ? undefined : byPort.get(answered);
				// If no socket listens, the host itself rejects delivered packets.
				if (refused !== undefined && fates.get(refused)?.type !== 'delivered') fates.set(refused, { type: 'rejected' });
				const shot = quoted === undefined && !facts.reset ? byTag.get(facts.tag) : undefined;
				if (shot === undefined) return;
				fates.set(
					shot,
					host
						? { type: 'delivered' }
						: {
								type: 'forwarded',
								to: formatAddress(facts.destination),
								port: facts.destinationPort,
								// On one interface the address may be the same: the port is drawn
								// anew.
								masqueraded: formatAddress(facts.source) !== shot.from || facts.sourcePort !== shot.sourcePort,
							},
				);
			});
			if (seen > 0) quiet = -1;
			if (fates.size < count) await new Promise((resolve) => setTimeout(resolve, quietMs));
		}
		return shots.map((shot) => fates.get(shot) ?? { type: 'nothing' });
	}

	close(): void {
		for (const socket of [this.#pods, this.#uplink, ...this.#receivers, this.#senders.ipv4, this.#senders.ipv6])
			socket.close();
		removeNamespace(this.namespace);
		removeNamespace(this.#wireNamespace);
	}

	#shoot({ from, to, protocol, port }: PreparedCase['packets'][number], origin: 'pod' | 'node' | 'outside'): Shot {
		this.#sourcePort = this.#sourcePort >= 60_000 ? 20_000 : this.#sourcePort + 1;
		const shot = { tag: ++this.#tag, sourcePort: this.#sourcePort, from };
		const [source, destination] = [parseAddress(from), parseAddress(to)];
		const packet = ipPacket({
			source,
			destination,
			protocol: protocolNumbers[protocol],
			sourcePort: shot.sourcePort,
			destinationPort: port,
			tag: shot.tag,
		});
		if (origin === 'node') this.#senders[source.family].send(packet, destination);
		else {
			const wire = origin === 'pod' ? this.#pods : this.#uplink;
			const [far, near] = this.#macs[origin === 'pod' ? 'pods' : 'uplink'];
			wire.send(ethernetFrame(far.bytes, near.bytes, packet));
		}
		return shot;
	}

	/** `host`: the namespace itself received it. */
	#drain(visit: (packet: Uint8Array, host: boolean) => void): number {
		let count = 0;
		for (const wire of [this.#pods, this.#uplink])
			for (let frame = wire.receive(); frame !== undefined; frame = wire.receive()) {
				if (readTransport(0, frame) === undefined) continue;
				count++;
				visit(frame.subarray(14), false);
			}
		for (const receiver of this.#receivers)
			for (let bytes = receiver.receive(); bytes !== undefined; bytes = receiver.receive()) {
				count++;
				visit(receiver.family === 'ipv4' ? bytes : withHeader(receiver.protocol, bytes), true);
			}
		return count;
	}
}

/** IPv6 sockets return no header: one with zeros as addresses is added. */
function withHeader(protocol: number, body: Uint8Array): Uint8Array {
	const packet = new Uint8Array(40 + body.length);
	packet[0] = 0x60;
	packet[6] = protocol;
	packet.set(body, 40);
	return packet;
}

/**
 * Number of packets that reach every backend of a pool of this size: one is missed less than once
 * in a million cases.
 */
export const packetsFor = (backends: number): number =>
	backends <= 1 ? 3 : Math.ceil(backends * (Math.log(backends) + 16));

/** Evaluates packets by frames, and behaviour over time by connections. */
export class ServiceFrames implements TableBackend<ServicesCase> {
	readonly #node: ServiceNode;
	readonly #translator: Translator;
	readonly #conntrack: Conntrack;
	readonly #behaviour: KernelBehaviour;

	constructor(node: ServiceNode, translator: Translator) {
		this.#node = node;
		this.#translator = translator;
		this.#conntrack = inside(node.namespace, () => new Conntrack());
		this.#behaviour = new KernelBehaviour(`${node.namespace}b`);
	}

	/** `only`: packets of this origin alone. */
	async judge(
		item: ServicesCase,
		only?: 'pod' | 'node' | 'outside',
	): Promise<readonly Cell[] | { readonly skip: string }> {
		if (!('packets' in item)) return this.#behaviour.judge(item);
		const prepared = prepare(item);
		this.#node.configure(prepared, item);
		await this.#translator.apply(prepared, item);
		for (const family of ['ipv4', 'ipv6'] as const) await this.#conntrack.flush(family);
		const cells: Cell[] = [];
		for (const packet of prepared.packets) {
			if (only !== undefined && originOf(prepared, item, packet) !== only) continue;
			cells.push({
				id: item.id,
				step: 0,
				from: packet.from,
				to: packet.to,
				probe: `${packet.protocol}/${packet.port}`,
				expected: packet.expected,
				actual: await this.#observe(prepared, item, packet),
			});
		}
		return cells;
	}

	async close(): Promise<void> {
		await this.#behaviour.close();
		await this.#translator.close();
		this.#conntrack.close();
		this.#node.close();
	}

	async #observe(prepared: PreparedCase, item: PacketCase, packet: PreparedCase['packets'][number]): Promise<string> {
		const origin = originOf(prepared, item, packet);
		const most = Math.max(1, ...[...prepared.model.pools.values()].map(({ backends }) => backends.length));
		const sticky = [...prepared.model.pools.values()].some((pool) => pool.affinityTimeoutSeconds !== undefined);
		const fates: Fate[] = [];
		const all = packetsFor(most);
		// A client with affinity always reaches the same backend: the affinity is removed after
		// each packet.
		for (let sent = 0; sent < all; ) {
			const count = sticky ? 1 : all - sent;
			if (sticky) await this.#translator.forgetClients();
			fates.push(...(await this.#node.send(packet, origin, count)));
			sent += count;
			// Untranslated parts are the same for each packet.
			if (sent === 1 && fates[0]?.type !== 'forwarded') break;
		}
		return verdictOf(fates, packet);
	}
}

/** Where a packet comes from. */
export function originOf(
	{ nodeAddresses }: PreparedCase,
	{ options }: PacketCase,
	{ from }: Pick<PreparedCase['packets'][number], 'from'>,
): 'pod' | 'node' | 'outside' {
	if (nodeAddresses.includes(from)) return 'node';
	return prefixContains(parsePrefix(options.podCIDR, 'clear'), parseAddress(from)) ? 'pod' : 'outside';
}

/** The common verdict of many packets of one kind; a forbidden difference is named. */
function verdictOf(fates: readonly Fate[], { to, port }: { readonly to: string; readonly port: number }): string {
	const kinds = new Set(
		fates.map((fate) =>
			fate.type === 'forwarded' && fate.to === to && fate.port === port && !fate.masqueraded ? 'untouched' : fate.type,
		),
	);
	if (kinds.size > 1) return `mixed: ${[...kinds].sort().join(', ')}`;
	const [kind] = kinds;
	if (kind === 'rejected') return 'reject';
	if (kind === 'delivered' || kind === 'untouched') return 'untouched';
	if (kind !== 'forwarded') return 'drop';
	const backends = new Set<string>();
	let masquerade = false;
	for (const fate of fates) {
		if (fate.type !== 'forwarded') continue;
		backends.add(fate.to.includes(':') ? `[${fate.to}]:${fate.port}` : `${fate.to}:${fate.port}`);
		masquerade ||= fate.masqueraded;
	}
	return verdictText({ verdict: 'dnat', backends: [...backends], masquerade });
}

/** Our rules in the kernel. */
export class NftablesTranslator implements Translator {
	readonly #kernel: NftablesServices;

	constructor(namespace: string) {
		this.#kernel = inside(
			namespace,
			() => new NftablesServices({ load: (rules) => inside(namespace, () => loadRuleset(rules)) }),
		);
	}

	async apply({ model }: PreparedCase): Promise<void> {
		await this.#kernel.sync(model);
	}

	async forgetClients(): Promise<void> {
		await this.#kernel.forgetAllClients();
	}

	async close(): Promise<void> {
		this.#kernel.close();
	}
}

/** Frames and our nftables rules. */
export function openNftables(prefix = `bms${process.pid}`): ServiceFrames {
	const node = new ServiceNode(prefix);
	return new ServiceFrames(node, new NftablesTranslator(node.namespace));
}
