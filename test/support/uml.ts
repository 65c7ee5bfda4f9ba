import test from 'ava';
import { missingUmlPackages } from '../../lab/uml/index.ts';

const missing = missingUmlPackages();
if (missing.length > 0) console.warn(`SKIPPED: tests inside user-mode-linux; install: ${missing.join(' ')}`);

/**
 * `test.serial` if user-mode-linux can run, otherwise `test.skip`, with the reason on the console.
 * Serial: a kernel uses a whole core while it boots.
 */
export const umlTest = missing.length > 0 ? test.skip : test.serial;
