/** `npm run setup`: installs and compiles what a fresh clone lacks, and nothing else. */
import { setUp } from './lib/setup.mjs';

await setUp();
