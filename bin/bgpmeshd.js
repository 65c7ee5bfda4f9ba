#!/usr/bin/env -S MALLOC_MMAP_THRESHOLD_=65536 MALLOC_MMAP_MAX_=16384 node --max-semi-space-size=2
// glibc maps each block of 64 KiB and more on its own (at most 16,384 of them), so that a freed buffer returns to the kernel.
// By default that limit rises to 32 MiB, and the buffers of a burst of UPDATEs leave a heap that does not shrink.
import { existsSync, readFileSync } from 'node:fs';
import * as nodeModule from 'node:module';

// Compiled code is kept between starts where Node.js can (22.8 and newer): systemd's CacheDirectory, else the folder for temporary files.
nodeModule.enableCompileCache?.(process.env.CACHE_DIRECTORY);
// A package has the daemon bundled into a few files, which load in half of the processor time; a checkout runs what was compiled.
const isThere = (path) => existsSync(new URL(path, import.meta.url));
const bundled = '../dist/bgpmeshd/index.mjs';
const { main } = await import(
	isThere(bundled) && !isThere('../tsconfig.json') ? bundled : '../dist/src/daemon/index.js'
);

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

process.exit(await main({ arguments: process.argv.slice(2), version, stdout: process.stdout, stderr: process.stderr }));
