/** The reflectors that are measured, ours first. Each is one file: how it is found, configured and started. */
import type { Subject } from '../types.ts';
import { bgpmesh } from './bgpmesh.ts';
import { bird } from './bird.ts';
import { nullReflector } from './floor.ts';
import { frr } from './frr.ts';
import { gobgp } from './gobgp.ts';
import { openbgpd } from './openbgpd.ts';

export { nullReflector } from './floor.ts';

export const subjects: readonly Subject[] = [bgpmesh, bird, frr, gobgp, openbgpd, nullReflector()];
