import type { Direction, NodeSettings } from '../../policy/index.ts';
import { clockHelper } from '../kernel/clock.ts';
import { LoadedProgram } from '../kernel/program.ts';
import { compileEntry } from './entry.ts';
import type { PolicyMaps } from './maps.ts';

/** The entry programs of both directions, in the kernel. */
export interface Entries {
	/** What they were compiled for. */
	readonly compiledFor: string;
	readonly programs: Readonly<Record<Direction, LoadedProgram>>;
}

/** `former`, if it was compiled for the same. @throws VerifierError, SystemCallError */
export function loadEntries(
	maps: PolicyMaps,
	options: { readonly settings: NodeSettings; readonly redirects: boolean },
	former: Entries | undefined,
): Entries {
	const compiledFor = JSON.stringify(options);
	if (former?.compiledFor === compiledFor) return former;
	const load = (direction: Direction) =>
		LoadedProgram.load(compileEntry({ ...options, direction, clock: clockHelper() }), {
			...{ name: direction === 'ingress' ? 'to_pods' : 'from_pods', type: 'schedClassifier', maps },
		});
	return { compiledFor, programs: { ingress: load('ingress'), egress: load('egress') } };
}
