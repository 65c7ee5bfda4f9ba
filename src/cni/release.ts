import { type CniAttachment, defaultReleaseDirectory, writeRelease } from '../control/index.ts';
import type { NetworkConfiguration } from './configuration.ts';

/**
 * Queues a release for the daemon's next start, in the folder `release_directory`. @throws errors
 * of the file system
 */
export function queueRelease({ document }: NetworkConfiguration, attachment: CniAttachment): void {
	const configured = document['release_directory'];
	writeRelease(typeof configured === 'string' && configured !== '' ? configured : defaultReleaseDirectory, attachment);
}
