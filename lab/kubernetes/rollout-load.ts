/**
 * Requests to an address over HTTP, a new connection each, until SIGTERM: `ADDRESS WORKERS`. Writes
 * one JSON document, a `RolloutReport`.
 */
import { get } from 'node:http';

/** The outcome of all requests. */
export interface RolloutReport {
	readonly requests: number;
	readonly failed: number;
	/** The first failures: seconds from the start, and the error. */
	readonly failures: readonly string[];
	/** Requests by the name of the pod that answered. */
	readonly pods: Readonly<Record<string, number>>;
}

const patienceMs = 10_000;
const mostFailures = 10;

/** The name of the pod. @throws Error with the reason */
function request(host: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const sent = get({ host, path: '/hostname', agent: false, timeout: patienceMs }, (response) => {
			let text = '';
			response.setEncoding('utf8').on('data', (part: string) => {
				text += part;
			});
			response.once('error', reject);
			response.once('end', () => {
				if (response.statusCode === 200) resolve(text);
				else reject(new Error(`status ${response.statusCode}`));
			});
		});
		sent.once('timeout', () => sent.destroy(new Error(`no answer in ${patienceMs / 1000} s`)));
		sent.once('error', reject);
	});
}

const [, , address = '', workers = '4'] = process.argv;
const started = performance.now();
const pods: Record<string, number> = {};
const failures: string[] = [];
let [requests, failed, isRunning] = [0, 0, true];
process.once('SIGTERM', () => {
	isRunning = false;
});

await Promise.all(
	Array.from({ length: Number(workers) }, async () => {
		while (isRunning) {
			requests++;
			try {
				const pod = await request(address);
				pods[pod] = (pods[pod] ?? 0) + 1;
			} catch (error) {
				failed++;
				const at = ((performance.now() - started) / 1000).toFixed(1);
				if (failures.length < mostFailures)
					failures.push(`${at} s: ${error instanceof Error ? error.message : String(error)}`);
			}
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
	}),
);
process.stdout.write(`${JSON.stringify({ requests, failed, failures, pods } satisfies RolloutReport)}\n`);
