#!/usr/bin/env -S node --max-semi-space-size=2
import { readFileSync } from 'node:fs';
import { main } from '../dist/src/daemon/index.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

process.exit(await main({ arguments: process.argv.slice(2), version, stdout: process.stdout, stderr: process.stderr }));
