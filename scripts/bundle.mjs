/**
 * `node scripts/bundle.mjs`, after compiling: bundles the CNI plugin into one file, the used
 * parts of @kubernetes/client-node into another, and the daemon for packages.
 */
import { bundleClient } from './lib/bundle-client.mjs';
import { bundleDaemon } from './lib/bundle-daemon.mjs';
import { bundlePlugin } from './lib/bundle-plugin.mjs';

await Promise.all([bundlePlugin(), bundleClient(), bundleDaemon()]);
