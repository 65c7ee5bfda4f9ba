/**
 * A kernel with IPIP as an ordinary process: Debian's `user-mode-linux` boots in a few seconds, runs one command on the
 * host's own files (read-only, but for what the caller names) and powers off. Tests and the lab use it where the running
 * kernel has no ipip. Whatever happens inside (routes, namespaces, a kernel panic) ends with that process.
 */
export * from './bundle.ts';
export * from './detect.ts';
export * from './errors.ts';
export * from './runner.ts';
