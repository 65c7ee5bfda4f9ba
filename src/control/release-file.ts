import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CniAttachment } from './cni-views.ts';

/**
 * Where releases wait unless the configuration names another folder: `releases` in the daemon's
 * state directory.
 */
export const defaultReleaseDirectory = '/var/lib/bgpmesh/releases';

/** Files of this ending are releases. */
export const releaseSuffix = '.release.json';

/**
 * Keeps the release of a container's addresses for later: the daemon writes it while the API server
 * is away, the plugin while no daemon runs. Written beside and renamed: a file is whole or absent.
 * @throws errors of the file system
 */
export function writeRelease(folder: string, attachment: CniAttachment): void {
	const { network, containerId, ifname, pod } = attachment;
	mkdirSync(folder, { recursive: true });
	const file = join(folder, `${network}.${containerId}.${ifname}${releaseSuffix}`);
	writeFileSync(`${file}.new`, JSON.stringify({ network, containerId, ifname, pod }));
	renameSync(`${file}.new`, file);
}
