/**
 * The load: connections to the Service's address, opened at a constant rate. Each exchanges a few
 * lines in its lifetime and ends. Writes one JSON document, a `LoadReport`.
 */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** The parameters of the load. */
export interface LoadOptions {
	readonly address: string;
	/** As many at least; more until SIGTERM. */
	readonly connections: number;
	/** New connections a second. */
	readonly rate: number;
	/** Longest lifetime of a connection; they are spread evenly from 0. */
	readonly lifetimeMs: number;
	readonly exchanges: number;
}

/** The outcome of all connections. */
export interface LoadReport {
	readonly connections: number;
	readonly broken: number;
	/** Number of broken connections by phase and error: `established: ECONNRESET`. */
	readonly reasons: Readonly<Record<string, number>>;
	/**
	 * When the first of them broke, in seconds from the start, with the port of the client and the
	 * pod.
	 */
	readonly failures: readonly string[];
	/** Number of connections by pod. */
	readonly pods: Readonly<Record<string, number>>;
	readonly seconds: number;
}

/** A connection without an answer for this time is broken. */
const patienceMs = 15_000;

function once(
	{ address, lifetimeMs, exchanges }: LoadOptions,
	share: number,
): Promise<{ readonly pod: string; readonly reason?: string }> {
	return new Promise((resolve) => {
		const gapMs = (lifetimeMs * share) / exchanges;
		let phase = 'connecting';
		let pod = '';
		let left = exchanges;
		const socket = connect({ host: address, port: 80, noDelay: true });
		const fail = (reason: string) => {
			socket.destroy();
			resolve({ reason: `${phase}: ${reason}`, pod });
		};
		socket.setTimeout(patienceMs, () => fail('no answer'));
		socket.once('connect', () => {
			phase = 'established';
			socket.write('x\n');
		});
		socket.setEncoding('utf8').on('data', (text: string) => {
			pod = text.trim();
			if (--left > 0) setTimeout(() => socket.write('x\n'), gapMs);
			else {
				phase = 'done';
				socket.end();
				resolve({ pod });
			}
		});
		socket.once('error', (error: NodeJS.ErrnoException) => {
			if (phase !== 'done') fail(error.code ?? error.message);
		});
		socket.once('close', () => {
			if (phase !== 'done') fail('closed');
		});
	});
}

async function load(options: LoadOptions): Promise<LoadReport> {
	const startedMs = performance.now();
	const failures: string[] = [];
	const reasons: Record<string, number> = {};
	const pods: Record<string, number> = {};
	const running: Promise<void>[] = [];
	let broken = 0;
	let isEnough = false;
	process.once('SIGTERM', () => {
		isEnough = true;
	});
	for (let index = 0; index < options.connections || !isEnough; index++) {
		const aheadMs = (index * 1000) / options.rate - (performance.now() - startedMs);
		if (aheadMs > 1) await pause(aheadMs);
		// Golden ratio: lifetimes are spread, and the same in each run.
		const share = (index * 0.618_033_988_75) % 1;
		running.push(
			once(options, share).then((outcome) => {
				if (outcome.reason === undefined) pods[outcome.pod] = (pods[outcome.pod] ?? 0) + 1;
				else {
					broken++;
					const seconds = ((performance.now() - startedMs) / 1000).toFixed(2);
					if (failures.length < 50) failures.push(`${seconds} s ${outcome.reason} ${outcome.pod}`);
					reasons[outcome.reason] = (reasons[outcome.reason] ?? 0) + 1;
				}
			}),
		);
	}
	await Promise.all(running);
	const seconds = (performance.now() - startedMs) / 1000;
	return { connections: running.length, broken, reasons, failures, pods, seconds };
}

if (process.argv[2] !== undefined) {
	// Passed by `run.ts` of the same build.
	const options = JSON.parse(process.argv[2]) as LoadOptions;
	process.stdout.write(`${JSON.stringify(await load(options))}\n`);
}
