#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { main } from '../dist/src/cli/index.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
process.once('SIGTERM', () => interrupted.abort());
// `bgpmesh routes | head` is no error.
process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await main({
	arguments: process.argv.slice(2),
	environment: process.env,
	terminal: { colours: process.stdout.isTTY === true, columns: process.stdout.columns ?? 100 },
	version,
	write: (text) => process.stdout.write(text),
	complain: (text) => process.stderr.write(text),
	signal: interrupted.signal,
	nowMs: () => Date.now(),
	cluster: {
		apply: async function* (request) {
			yield* (await import('../dist/src/daemon/resources-main.js')).applyFiles(request);
		},
		get: async (request) => (await import('../dist/src/daemon/resources-main.js')).getResources(request),
	},
	apiServer: async (request, surroundings) => (await import('../dist/src/daemon/apiserver-main.js')).runApiServer(request, surroundings),
});
