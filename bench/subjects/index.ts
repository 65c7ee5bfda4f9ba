/**
 * The measured reflectors, ours first. Each is one file: how it is found, configured and started.
 */
import type { Subject } from '../types.ts';
import { bgpmesh } from './bgpmesh.ts';
import { bird, bird3 } from './bird.ts';
import { nullReflector } from './floor.ts';
import { frr } from './frr.ts';
import { gobgp } from './gobgp.ts';
import { openbgpd } from './openbgpd.ts';

export { nullReflector } from './floor.ts';

export const subjects: readonly Subject[] = [
	bgpmesh,
	bird('host'),
	bird('sid'),
	bird3(),
	frr('host'),
	frr('sid'),
	gobgp('host'),
	gobgp('sid'),
	openbgpd('host'),
	openbgpd('sid'),
	nullReflector(),
];
