/** The command `bgpmesh` on a terminal: what bin/bgpmesh.js and the executable share. */
import { once } from 'node:events';
import { main } from '../dist/src/cli/index.js';

/**
 * Runs the command line of this process and sets its exit code. `apiServer`: starts the embedded API server; `undefined` in a form
 * of the program that does not have it.
 */
export async function runCommand({ version, apiServer }) {
	const interrupted = new AbortController();
	process.once('SIGINT', () => interrupted.abort());
	process.once('SIGTERM', () => interrupted.abort());
	// `bgpmesh routes | head` is no error.
	process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1));
	const complain = (text) => process.stderr.write(text);
	process.exitCode = await main({
		arguments: process.argv.slice(2),
		environment: process.env,
		terminal: { colours: process.stdout.isTTY === true, columns: process.stdout.columns },
		version,
		write: (text) => (process.stdout.write(text) ? undefined : once(process.stdout, 'drain')),
		complain,
		signal: interrupted.signal,
		nowMs: () => Date.now(),
		cluster: {
			apply: async function* (request) {
				yield* (await import('../dist/src/daemon/resources-main.js')).applyFiles(request);
			},
			get: async (request) => (await import('../dist/src/daemon/resources-main.js')).getResources(request),
		},
		checkHost: async () => (await import('../dist/src/daemon/doctor-main.js')).checkHost(),
		cleanUp: async (request) => (await import('../dist/src/daemon/cleanup-main.js')).cleanUp(request),
		apiServer:
			apiServer ??
			(async () => {
				complain(
					'bgpmesh: this form of the program has no API server: npm install bgpmesh, then run it with Node.js\n',
				);
				return 1;
			}),
	});
}
