/** `npm run lab [-- OPTIONS]`: sets up what is missing, compiles, and starts the laboratory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { handOver, root } from './lib/run.mjs';
import { setUp } from './lib/setup.mjs';

await setUp();
const main = join(root, 'dist/lab/main.js');
if (!existsSync(main)) throw new Error(`${main} is not there`);
process.exitCode = await handOver(process.execPath, ['--enable-source-maps', main, ...process.argv.slice(2)]);
