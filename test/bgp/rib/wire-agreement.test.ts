import test from 'ava';
import {
	decodeMessage,
	type Nlri,
	PacketError,
	type PathAttributes,
	packetContext,
	strongestRemedy,
	withdrawInstead,
} from 'bgp-packet';
import { formatPrefix } from '../../../src/core/index.ts';
import { RibBench } from '../../support/rib-bench.ts';

// The codec's own generator, in its compiled folder.
const { hostileMessages } = (await import(
	new URL('../../../../packages/bgp-packet/dist/test/fuzz.js', import.meta.url).href
)) as {
	hostileMessages: (seed: number, count: number, addPath: boolean) => Uint8Array[];
};

/** Prefixes that no martian filter rejects. */
const isPlain = ({ family, bytes, length }: Nlri) => {
	const first = bytes[0] ?? 0;
	return family === 'ipv4'
		? length >= 8 && ((first > 10 && first < 100) || (first > 128 && first < 169))
		: length >= 8 && first === 0x24;
};

const keyOf = ({ bytes, length, pathId }: Nlri) => `${formatPrefix(bytes, length)} ${pathId ?? 0}`;

function routesOf(attribute: PathAttributes['mpReach'] | PathAttributes['mpUnreach']): readonly Nlri[] {
	return attribute?.safi === 1 && attribute.routes.type === 'prefixes' ? attribute.routes.nlri : [];
}

/**
 * Compares the decoded objects of a message stream with the state of the RIB: the first difference,
 * or `undefined`.
 */
function difference(wires: readonly Uint8Array[], external: boolean, addPath: boolean): string | undefined {
	const bench = new RibBench();
	const families = (['ipv4', 'ipv6'] as const).map((family) => ({ family, addPathReceive: addPath }));
	const peer = bench.peer('a', {
		families,
		negotiated: { kind: external ? 'external' : 'internal' },
		options: { enforceFirstAs: false },
	});
	const context = packetContext({
		external,
		addPath: (afi, safi) => addPath && (afi === 1 || afi === 2) && safi === 1,
	});
	const held = new Set<string>();
	for (const wire of wires) {
		if (wire[18] !== 2) continue;
		let reset: PacketError | undefined;
		try {
			const message = decodeMessage(wire, context);
			if (message.type !== 'update') continue;
			const remedy = strongestRemedy(message.problems);
			const update = remedy === 'treat-as-withdraw' ? withdrawInstead(message) : message;
			for (const nlri of [...update.withdrawn, ...routesOf(update.attributes.mpUnreach)]) held.delete(keyOf(nlri));
			for (const nlri of [...update.nlri, ...routesOf(update.attributes.mpReach)])
				if (isPlain(nlri)) held.add(keyOf(nlri));
		} catch (error) {
			if (!(error instanceof PacketError)) throw error;
			if (error.code === 1) continue;
			reset = error;
		}
		const name = Buffer.from(wire).toString('hex');
		try {
			peer.sendBytes(wire);
			if (reset !== undefined) return `no reset (${reset.code}/${reset.subcode} ${reset.message}) for ${name}`;
		} catch (error) {
			if (!(error instanceof PacketError)) return `throws ${String(error)} for ${name}`;
			if (reset === undefined) return `resets (${error.code}/${error.subcode} ${error.message}) for ${name}`;
			peer.end();
			peer.restart();
			held.clear();
		}
		bench.run();
		const routes = bench.rib.routes({ received: 'a' }).map(({ prefix, pathId }) => `${prefix} ${pathId ?? 0}`);
		const plain = routes.filter((route) => isPlainText(route)).sort();
		if (plain.join() !== [...held].sort().join())
			return `holds ${plain.join(', ')} instead of ${[...held].sort().join(', ')} after ${name}`;
	}
	return undefined;
}

function isPlainText(route: string): boolean {
	const [prefix = ''] = route.split(' ');
	const length = Number(prefix.split('/')[1]);
	const first = prefix.includes(':')
		? Number.parseInt(prefix.split(':')[0]?.padStart(4, '0').slice(0, 2) ?? '', 16)
		: Number(prefix.split('.')[0]);
	return (
		length >= 8 && (prefix.includes(':') ? first === 0x24 : (first > 10 && first < 100) || (first > 128 && first < 169))
	);
}

for (const external of [false, true]) {
	for (const addPath of [false, true]) {
		test(`[C230] the RIB state after hostile UPDATEs equals the decoded objects: ${external ? 'external' : 'internal'} peer${addPath ? ', path identifiers' : ''}`, (t) => {
			for (let seed = 1; seed <= 10; seed++) {
				const found = difference(hostileMessages(seed, 120, addPath), external, addPath);
				if (found !== undefined) t.fail(`seed ${seed}: ${found}`);
			}
			t.pass();
		});
	}
}
