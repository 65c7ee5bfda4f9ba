#!/usr/bin/env node
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { main } from '../dist/src/cni/install/index.js';

// The executable for the machine's C library: musl where its dynamic loader is the only one.
const musl = readdirSync('/lib').some((name) => name.startsWith('ld-musl-'));
const target = `linux-${process.arch}${musl ? '-musl' : ''}`;

process.exitCode = main({
	arguments: process.argv.slice(2),
	bundle: fileURLToPath(new URL('../dist/bgpmesh-ipam.cjs', import.meta.url)),
	executable: fileURLToPath(new URL(`../dist/executables/bgpmesh-${target}`, import.meta.url)),
	node: process.execPath,
	write: (text) => process.stdout.write(text),
	complain: (text) => process.stderr.write(text),
});
