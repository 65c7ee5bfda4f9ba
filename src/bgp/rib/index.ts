/**
 * The tables of a speaker. Paths live in columns indexed by prefix (`RouteTable`); a path is the id of an interned attribute set
 * (`AttributePool`), which knows the peer it came from and everything that selection asks, decided once on first sight
 * (`Importer`). An UPDATE is taken apart in place (`Receiver`) and marks prefixes dirty; `Selection` decides them in steps, and
 * the update groups tell the neighbours what changed. `RibEngine` wires it, behind the interface `Rib`.
 */
import { RibEngine } from './engine.ts';
import type { Rib, RibDependencies, RibOptions } from './types.ts';

export type * from './types.ts';

/** The tables of one speaker, for all address families. */
export function createRib(options: RibOptions, dependencies: RibDependencies): Rib {
	return new RibEngine(options, dependencies);
}
