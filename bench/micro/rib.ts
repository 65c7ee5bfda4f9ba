/**
 * Nanoseconds per route of the RIB alone: no sockets, one process. `node dist/bench/micro/rib.js
 * [PREFIXES] [ATTRIBUTE SETS]`. For observing the effect of a change during development; published
 * figures come from `npm run bench`.
 */
import { encodeMessage, packetContext, updateMessage } from 'bgp-packet';
import {
	createRib,
	type Negotiated,
	peerDefaults,
	type RibPeerOptions,
	type SessionReceiver,
	type SessionSink,
} from '../../src/bgp/index.ts';
import { silentLogger, systemClock } from '../../src/core/index.ts';

const prefixCount = Number(process.argv[2] ?? 1_000_000);
const setCount = Number(process.argv[3] ?? 160_000);

const family = {
	addPathReceive: false,
	addPathSend: false,
	extendedNextHop: false,
	gracefulRestart: undefined,
	longLivedStaleSeconds: 0,
};
const options: RibPeerOptions = { ...peerDefaults, reflectorClient: true };

const rib = createRib(
	{ localAsNumber: 64512, routerId: 1, clusterId: 1, clientToClientReflection: true, localAddresses: [] },
	{ clock: systemClock, log: silentLogger },
);

class CountingSink implements SessionSink {
	bytes = 0;
	readonly bufferedBytes = 0;
	write(bytes: Uint8Array): boolean {
		this.bytes += bytes.length;
		return true;
	}
	fail(): void {
		throw new Error('the RIB ended a session');
	}
}

function connect(index: number): { receiver: SessionReceiver; sink: CountingSink } {
	const sink = new CountingSink();
	const negotiated: Negotiated = {
		peerName: `peer-${index}`,
		peerAddress: Uint8Array.of(10, 0, index >> 8, index),
		localAddress: Uint8Array.of(10, 255, 0, 1),
		peerAsNumber: 64512,
		localAsNumber: 64512,
		peerRouterId: 1000 + index,
		localRouterId: 1,
		kind: 'internal',
		holdTimeSeconds: 90,
		fourOctetAs: true,
		extendedMessageSend: false,
		routeRefresh: true,
		enhancedRefresh: false,
		families: [{ family: 'ipv4', ...family }],
		interfaceName: undefined,
		interfaceAddresses: {},
		peerRestarting: false,
		peerRestartSeconds: 0,
		notificationRestart: false,
		localRole: undefined,
	};
	return { receiver: rib.established(negotiated, options, sink), sink };
}

/**
 * UPDATEs of a full table: attribute sets of 3 to 6 AS numbers, some with communities, prefixes
 * spread over them.
 */
function table(first: number): { buffer: Uint8Array; ends: number[] } {
	const context = packetContext();
	const messages: Uint8Array[] = [];
	const perSet = Math.ceil(prefixCount / setCount);
	for (let set = 0; set * perSet < prefixCount; set++) {
		const nlri = Array.from({ length: Math.min(perSet, prefixCount - set * perSet) }, (_, index) => {
			const number = set * perSet + index + 0x1_0000;
			return {
				family: 'ipv4' as const,
				bytes: Uint8Array.of(1 + ((number >> 16) & 0x7f), number >> 8, number, 0),
				length: 24,
			};
		});
		const asNumbers = Array.from(
			{ length: 3 + (set % 4) },
			(_, index) => first + ((set * 7919 + index * 104_729) % 400_000),
		);
		const communities =
			set % 2 === 0
				? []
				: Array.from({ length: 1 + (set % 5) }, (_, index) => 0x1_0000 * (1000 + (set % 3000)) + index);
		const attributes = {
			origin: 'igp' as const,
			asPath: [{ type: 'sequence' as const, asNumbers }],
			nextHop: Uint8Array.of(10, 1, 0, 1),
			med: set,
			localPref: 100,
			...(communities.length > 0 ? { communities } : {}),
		};
		messages.push(encodeMessage(updateMessage({ attributes, nlri }), context));
	}
	const buffer = new Uint8Array(messages.reduce((sum, { length }) => sum + length, 0));
	const ends: number[] = [];
	let at = 0;
	for (const message of messages) {
		buffer.set(message, at);
		at += message.length;
		ends.push(at);
	}
	return { buffer, ends };
}

async function idle(): Promise<void> {
	do await new Promise(setImmediate);
	while (rib.statistics().dirty > 0);
	for (let turn = 0; turn < 300; turn++) await new Promise(setImmediate);
}

async function measured(name: string, work: () => Promise<void> | void): Promise<void> {
	const start = performance.now();
	const before = process.cpuUsage();
	await work();
	const { user, system } = process.cpuUsage(before);
	const ms = performance.now() - start;
	const rss = Math.round(process.memoryUsage.rss() / 2 ** 20);
	process.stdout.write(
		`${name.padEnd(24)} ${ms.toFixed(0).padStart(6)} ms  cpu ` +
			`${((user + system) / 1000).toFixed(0).padStart(6)} ms  ` +
			`${((ms * 1e6) / prefixCount).toFixed(0).padStart(5)} ns/route  rss ${rss} MiB\n`,
	);
}

/** Feeds a table like a socket: 64 KiB per turn. */
async function feed(
	receiver: SessionReceiver,
	{ buffer, ends }: { buffer: Uint8Array; ends: number[] },
): Promise<void> {
	let start = 0;
	let turn = 0x1_0000 * 4;
	for (const end of ends) {
		receiver.update(buffer, start, end);
		start = end;
		if (end < turn) continue;
		turn += 0x1_0000 * 4;
		await new Promise(setImmediate);
	}
	await idle();
}

const first = table(1000);
const feeder = connect(1);
const reader = connect(2);
await idle();
await measured('idle', idle);
await measured('full table', () => feed(feeder.receiver, first));
process.stdout.write(`sent ${reader.sink.bytes} bytes; ${JSON.stringify(rib.statistics())}\n`);
await measured('the same again', () => feed(feeder.receiver, first));
const late = connect(3);
await measured('late joiner', idle);
process.stdout.write(`late joiner got ${late.sink.bytes} bytes\n`);
const second = connect(4);
await measured('second feed', () => feed(second.receiver, table(2000)));
second.receiver.ended({ type: 'forget' });
await measured('second feed dies', idle);
feeder.receiver.ended({ type: 'forget' });
await measured('first feed dies', idle);
process.stdout.write(`${JSON.stringify(rib.statistics())}\n`);
