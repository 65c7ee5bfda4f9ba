import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until `holds` returns true; the error contains the description. The deadline ends a test
 * that would never end; it does not measure speed.
 */
export async function eventually(what: string, holds: () => boolean, seconds = 90): Promise<void> {
	const deadline = performance.now() + seconds * 1000;
	while (!holds()) {
		if (performance.now() > deadline) throw new Error(`waited ${seconds} s in vain until ${what}`);
		await pause(5);
	}
}
