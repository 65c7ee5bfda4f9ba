import type { BackendFactory } from './backend.ts';
import { openEbpf } from './ebpf-enforcer.ts';
import { EvaluateBackend } from './evaluate-backend.ts';
import { FramesBackend, openNftables } from './frames-backend.ts';

/** All backends of a table. A new one is a row here. */
export const backends: Readonly<Record<string, BackendFactory>> = {
	evaluate: async () => new EvaluateBackend(),
	nftables: async () => new FramesBackend(),
	// Rules are looked up wherever they can be, not only where there are many of them.
	'nftables-look-ups': async () =>
		new FramesBackend(undefined, (namespace) => openNftables(namespace, { leastGain: 0 })),
	ebpf: async () => new FramesBackend(undefined, (namespace) => openEbpf(namespace)),
};
