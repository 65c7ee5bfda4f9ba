import test from 'ava';
import { missingUmlPackages } from '../../lab/uml/index.ts';

const missing = missingUmlPackages();
if (missing.length > 0) console.warn(`SKIPPED: tests inside user-mode-linux; install: ${missing.join(' ')}`);

/** `test.serial` where user-mode-linux can run, otherwise `test.skip`, said on the console. Serial: a kernel takes a whole core while it boots. */
export const umlTest = missing.length > 0 ? test.skip : test.serial;
