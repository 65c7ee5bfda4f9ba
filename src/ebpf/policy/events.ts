import { formatAddress } from '../../core/index.ts';
import type { Direction } from '../../policy/index.ts';
import { EventAction } from './decision.ts';
import { Layout, type RulesOf, rulesOfNumber } from './maps.ts';

/** What a program left in the ring buffer. */
export interface ProgramEvent {
	/** Index of the interface. */
	readonly endpoint: number;
	/** See `PolicyProgram.decisions`. */
	readonly decision: number;
	readonly action: keyof typeof EventAction;
	readonly direction: Direction;
	/** Which rules of the endpoint decided. */
	readonly rules: RulesOf;
	/** IP protocol number. */
	readonly protocol: number;
	readonly source: string;
	readonly destination: string;
	/** Of ICMP: code and type. */
	readonly sourcePort: number;
	readonly destinationPort: number;
}

const actions = new Map(
	// `Object.entries` forgets the type of the keys.
	Object.entries(EventAction).map(([name, number]) => [number as number, name as keyof typeof EventAction]),
);

/** Decodes a record; `undefined`: of another layout. Pure. */
export function decodeEvent(record: Uint8Array): ProgramEvent | undefined {
	const at = Layout.event;
	if (record.length !== at.bytes) return undefined;
	const view = new DataView(record.buffer, record.byteOffset, record.length);
	const action = actions.get(view.getUint8(at.action));
	const addressBytes = view.getUint8(at.family) === 4 ? 4 : 16;
	if (action === undefined) return undefined;
	const rules = rulesOfNumber(view.getUint8(at.rules));
	const address = (offset: number) => formatAddress(record.subarray(offset, offset + addressBytes));
	return {
		endpoint: view.getUint32(at.endpoint, true),
		decision: view.getUint32(at.decision, true),
		action,
		direction: rules.direction,
		rules: rules.of,
		protocol: view.getUint8(at.protocol),
		source: address(at.source),
		destination: address(at.destination),
		sourcePort: view.getUint16(at.sourcePort, true),
		destinationPort: view.getUint16(at.destinationPort, true),
	};
}
