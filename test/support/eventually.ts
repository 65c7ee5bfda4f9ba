import { setTimeout as pause } from 'node:timers/promises';

/** Waits until `holds` does; what it waited for is in the error. The deadline is for a test that would never end, not a measure of speed. */
export async function eventually(what: string, holds: () => boolean, seconds = 20): Promise<void> {
	const deadline = performance.now() + seconds * 1000;
	while (!holds()) {
		if (performance.now() > deadline) throw new Error(`waited ${seconds} s in vain until ${what}`);
		await pause(5);
	}
}
