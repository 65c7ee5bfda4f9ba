import type { Socket } from 'node:net';
import type { Clock } from '../../core/index.ts';

/** Resolves when all sockets are closed, or at the time limit. */
export async function whenClosed(sockets: Iterable<Socket>, clock: Clock, patienceMs: number): Promise<void> {
	const closing = [...sockets].map(
		(socket) => new Promise<void>((resolve) => void socket.once('close', () => resolve())),
	);
	let patience: { cancel(): void } | undefined;
	const over = new Promise<void>((resolve) => {
		patience = clock.after(patienceMs, resolve);
	});
	await Promise.race([Promise.all(closing), over]);
	patience?.cancel();
}
