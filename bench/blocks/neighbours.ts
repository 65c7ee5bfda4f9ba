import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const daemonAddress = '127.80.0.1';
export const daemonPort = 11_793;

/** Addresses of the sessions: from 127.81.0.0/16 on. */
export const sessionAddress = (index: number): string =>
	`127.${81 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

/** The prefix with this number, a /24 from 20.0.0.0 on, as NLRI. */
export const routeAddress = (number: number): readonly number[] => [
	24,
	20 + (number >> 16),
	(number >> 8) & 255,
	number & 255,
];

export type Command =
	| { readonly type: 'open'; readonly first: number; readonly count: number; readonly holdTimeSeconds: number }
	/** Closes the sessions from this number on. */
	| { readonly type: 'close'; readonly first: number }
	| { readonly type: 'announce'; readonly from: number; readonly count: number; readonly version: number }
	| { readonly type: 'report' };

/** Currently established sessions, and those that the other side ended since the start. */
export interface Report {
	readonly established: number;
	readonly lost: number;
}

/** The process with the neighbours. */
export class Neighbours {
	readonly #child: ChildProcess = fork(fileURLToPath(new URL('./neighbours-process.js', import.meta.url)));

	async command(command: Command): Promise<Report> {
		this.#child.send(command);
		const [report] = (await once(this.#child, 'message')) as [Report];
		return report;
	}

	/** Resolves when this number of sessions is established. @throws Error after `seconds` */
	async untilEstablished(count: number, seconds: number): Promise<void> {
		const endMs = performance.now() + seconds * 1000;
		for (;;) {
			const { established, lost } = await this.command({ type: 'report' });
			if (established === count) return;
			if (performance.now() > endMs) throw new Error(`${established} of ${count} sessions established, ${lost} lost`);
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	}

	stop(): void {
		this.#child.kill('SIGKILL');
	}
}
