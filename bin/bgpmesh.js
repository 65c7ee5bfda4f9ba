#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { runCommand } from './command.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
await runCommand({
	version,
	apiServer: async (request, surroundings) =>
		(await import('../dist/src/daemon/apiserver-main.js')).runApiServer(request, surroundings),
});
