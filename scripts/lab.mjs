/** `npm run lab [-- OPTIONS]`: sets up missing parts, compiles, and starts the laboratory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { handOver, root } from './lib/run.mjs';
import { setUp } from './lib/setup.mjs';

const main = join(root, 'dist/lab/main.js');
// A running laboratory was set up already: `exec` does not repeat the setup.
if (process.argv[2] !== 'exec' || !existsSync(main)) await setUp();
process.exitCode = await handOver(process.execPath, ['--enable-source-maps', main, ...process.argv.slice(2)]);
