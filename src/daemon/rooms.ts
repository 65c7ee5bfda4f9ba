import type { createRib, SpeakerApi } from '../bgp/index.ts';
import type { KernelSide } from './kernel-side.ts';

/** Everything that runs, connected. */
export interface Rooms {
	readonly speaker: SpeakerApi;
	readonly rib: ReturnType<typeof createRib>;
	/** `undefined`: nothing of the kernel is touched. */
	readonly kernel: KernelSide | undefined;
	/** What this process announces in the OPEN, as dotted quad. */
	readonly routerId: string;
	readonly listen: readonly string[];
}
