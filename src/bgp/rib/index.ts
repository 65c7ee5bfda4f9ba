import type { Rib, RibDependencies, RibOptions } from './types.ts';

export type * from './types.ts';

/** The tables of one speaker, for all address families. */
export function createRib(options: RibOptions, dependencies: RibDependencies): Rib {
	throw new Error(`the RIB of AS ${options.localAsNumber} can't be made yet${dependencies.log === undefined ? ' without a log' : ''}`);
}
