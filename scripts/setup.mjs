/** `npm run setup`: installs and compiles the parts that a fresh clone lacks, and nothing else. */
import { setUp } from './lib/setup.mjs';

await setUp();
