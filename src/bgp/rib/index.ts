/**
 * The tables of a speaker. Paths are stored in columns indexed by prefix (`RouteTable`). A path is
 * the id of an interned attribute set (`AttributePool`), which has its peer and all inputs of
 * selection, computed once at its first occurrence (`Importer`). `Receiver` decodes an UPDATE in
 * place and marks prefixes dirty; `Selection` decides them in steps; the update groups send the
 * changes to the neighbours. `RibEngine` connects them, behind the interface `Rib`.
 */

import type { Rib, RibDependencies, RibOptions } from '../model/rib.ts';
import { RibEngine } from './engine.ts';

export type * from '../model/rib.ts';

/** The tables of one speaker, for all address families. */
export function createRib(options: RibOptions, dependencies: RibDependencies): Rib {
	return new RibEngine(options, dependencies);
}
