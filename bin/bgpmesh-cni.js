#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { main } from '../dist/src/cni/install/index.js';

process.exitCode = main({
	arguments: process.argv.slice(2),
	bundle: fileURLToPath(new URL('../dist/bgpmesh-ipam.cjs', import.meta.url)),
	node: process.execPath,
	write: (text) => process.stdout.write(text),
	complain: (text) => process.stderr.write(text),
});
