import { Line, type PolicyDropEvent } from '../../control/index.ts';
import { type Clock, formatAddress, type Logger } from '../../core/index.ts';
import { type LoggedPacket, PacketLog } from '../../linux/index.ts';
import { type DropReference, defaultLogGroup } from '../../nftables/index.ts';
import { ProtocolNumber } from '../../policy/index.ts';
import { policyName } from './names.ts';

/** Where events come from while there is a reader. */
export type OpenEvents = (take: (event: PolicyDropEvent) => void) => { close(): void };

/** Maximum number of events that a slow reader may lag behind; older ones are dropped. */
const mostQueued = 1000;

interface Reader {
	queue: Line<PolicyDropEvent>[];
	wake: (() => void) | undefined;
}

/** Passes events of packets to watchers; the sources are read while there is at least one. */
export class EventFollower {
	readonly #open: readonly OpenEvents[];
	readonly #readers = new Set<Reader>();
	#sources: { close(): void }[] = [];

	constructor(open: readonly OpenEvents[]) {
		this.#open = open;
	}

	/**
	 * Events from now on, until the signal aborts. @throws SystemCallError if the kernel's log
	 * cannot be read
	 */
	async *follow(signal: AbortSignal): AsyncGenerator<readonly Line<PolicyDropEvent>[]> {
		const reader: Reader = { queue: [], wake: undefined };
		this.#readers.add(reader);
		try {
			if (this.#sources.length === 0)
				for (const open of this.#open) this.#sources.push(open((event) => this.#take(event)));
			while (!signal.aborted) {
				if (reader.queue.length === 0)
					await new Promise<void>((resolve) => {
						reader.wake = resolve;
						signal.addEventListener('abort', () => resolve(), { once: true });
					});
				yield reader.queue.splice(0);
			}
		} finally {
			this.#readers.delete(reader);
			if (this.#readers.size === 0) for (const source of this.#sources.splice(0)) source.close();
		}
	}

	#take(event: PolicyDropEvent): void {
		const line = new Line<PolicyDropEvent>(event);
		for (const reader of this.#readers) {
			if (reader.queue.length >= mostQueued) reader.queue.shift();
			reader.queue.push(line);
			reader.wake?.();
		}
	}
}

export interface PacketLogDependencies {
	/** The meaning of a logged packet's prefix. */
	readonly reference: (prefix: string) => DropReference | undefined;
	/** Pods, host endpoints and nodes by name, other addresses unchanged. */
	readonly nameOf: (address: string) => string;
	readonly clock: Clock;
	readonly log: Logger;
}

/** Packets that the rules of nftables dropped or logged. */
export const openPacketLog =
	({ reference, nameOf, clock, log }: PacketLogDependencies): OpenEvents =>
	(take) =>
		new PacketLog({
			group: defaultLogGroup,
			onPacket: (packet) => {
				const event = eventOf(packet, reference(packet.prefix), nameOf, new Date(clock.wallMs()));
				if (event !== undefined) take(event);
			},
			onTrouble: (reason) => log.warn('packet log of policy not read', { reason }),
			nowMs: () => clock.monotonicMs(),
		});

/** `undefined`: truncated, or of a rule that is gone. Pure. */
function eventOf(
	packet: LoggedPacket,
	reference: DropReference | undefined,
	nameOf: (address: string) => string,
	at: Date,
): PolicyDropEvent | undefined {
	const header = parseHeader(packet.bytes);
	if (reference === undefined || header === undefined) return undefined;
	return {
		at: at.toISOString(),
		action: reference.action,
		direction: reference.direction,
		stage: reference.stage,
		from: nameOf(header.source),
		to: nameOf(header.destination),
		protocol: protocolName(header.protocol),
		...(header.ports === undefined ? {} : { sourcePort: header.ports.source, port: header.ports.destination }),
		decidedBy: causeText(reference.cause),
	};
}

/**
 * Addresses, protocol and ports of a packet that begins with its IP header; `undefined`: truncated.
 * Pure.
 */
function parseHeader(bytes: Uint8Array):
	| {
			readonly source: string;
			readonly destination: string;
			readonly protocol: number;
			readonly ports?: { readonly source: number; readonly destination: number };
	  }
	| undefined {
	const version = (bytes[0] ?? 0) >> 4;
	if (version !== 4 && version !== 6) return undefined;
	const length = version === 4 ? ((bytes[0] ?? 0) & 0xf) * 4 : 40;
	if (bytes.length < length || length < 20) return undefined;
	const protocol = (version === 4 ? bytes[9] : bytes[6]) ?? 0;
	const [first, size] = version === 4 ? [12, 4] : [8, 16];
	const address = (at: number) => formatAddress(bytes.subarray(at, at + size));
	const hasPorts =
		bytes.length >= length + 4 &&
		[ProtocolNumber.TCP, ProtocolNumber.UDP, ProtocolNumber.SCTP, ProtocolNumber.UDPLite].some(
			(one) => one === protocol,
		);
	const u16 = (at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
	return {
		source: address(first),
		destination: address(first + size),
		protocol,
		...(hasPorts ? { ports: { source: u16(length), destination: u16(length + 2) } } : {}),
	};
}

/** `TCP`, or the number. */
export const protocolName = (number: number): string =>
	Object.entries(ProtocolNumber).find(([, value]) => value === number)?.[0] ?? String(number);

function causeText(cause: DropReference['cause']): string {
	switch (cause.type) {
		case 'rule':
			return `${policyName(cause.policy)} ${cause.origin}`;
		case 'tier-default':
			return `end of tier ${cause.tier}`;
		case 'end':
			return 'end of all tiers and profiles';
		default:
			return cause satisfies never;
	}
}
