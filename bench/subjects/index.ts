/**
 * The measured reflectors, ours first. Each is one file: how it is found, configured and started.
 */
import type { Subject } from '../types.ts';
import { bgpmesh, type Form } from './bgpmesh.ts';
import { bird, bird3 } from './bird.ts';
import { nullReflector } from './floor.ts';
import { frr } from './frr.ts';
import { gobgp } from './gobgp.ts';
import { openbgpd } from './openbgpd.ts';

export { type Form, forms } from './bgpmesh.ts';
export { nullReflector } from './floor.ts';

/** All of them, with our daemon in the given form. */
export const subjectsWith = (form: Form): readonly Subject[] => [
	bgpmesh(form),
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

/** All of them, with our daemon as a checkout runs it. */
export const subjects = subjectsWith('files');
