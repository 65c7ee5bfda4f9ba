import type { PathAttributes } from 'bgp-packet';
import type { Family } from '../../core/index.ts';
import type { Verdict } from '../policy/program.ts';
import { type PolicyInput, PolicyState } from '../policy/state.ts';
import type { RibPeer } from '../table/peers.ts';

/** Facts of a received route besides its attributes. */
export interface Derived {
	readonly interfaceOf: (attributes: PathAttributes) => string;
	readonly priorityOf: (attributes: PathAttributes) => number | undefined;
}

/** A received route as import policy sees it. */
export function inputOf(
	peer: RibPeer,
	attributes: () => PathAttributes,
	family: Family,
	{ interfaceOf, priorityOf }: Derived,
): PolicyInput {
	const source = peer.external ? 'external' : 'internal';
	const interfaceName = () => interfaceOf(attributes());
	return {
		...{ attributes, family, source, sourcePeer: peer.name, peerType: source, interfaceName },
		// Attributes are decoded only for policies that use it.
		get priority() {
			return priorityOf(attributes());
		},
	};
}

/** The verdict of import policy; `undefined` without one. */
export function verdictOf(
	peer: RibPeer,
	attributes: () => PathAttributes,
	family: Family,
	derived: Derived,
): Verdict | undefined {
	const input = inputOf(peer, attributes, family, derived);
	// RFC 8212 §2.
	if (peer.deniesImport) return { type: 'decided', accepted: false, state: new PolicyState(input) };
	return peer.importProgram?.ask(input);
}

/** Creates a value at its first use. */
export function once<T extends object>(make: () => T): () => T {
	let value: T | undefined;
	return () => {
		value ??= make();
		return value;
	};
}
