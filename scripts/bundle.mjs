/** `node scripts/bundle.mjs`, after compiling: the CNI plugin as one file, and what is needed of @kubernetes/client-node as another. */
import { bundleClient } from './lib/bundle-client.mjs';
import { bundlePlugin } from './lib/bundle-plugin.mjs';

await Promise.all([bundlePlugin(), bundleClient()]);
