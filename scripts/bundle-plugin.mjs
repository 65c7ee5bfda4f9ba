/** `node scripts/bundle-plugin.mjs`, after compiling: the CNI plugin as one file. */
import { bundlePlugin } from './lib/bundle-plugin.mjs';

await bundlePlugin();
