/**
 * A kernel with IPIP as an ordinary process: Debian's `user-mode-linux` boots in a few seconds,
 * runs one command on the host's own files (read-only, except for those that the caller names) and
 * powers off. Tests and the lab use it if the running kernel has no ipip. All effects inside
 * (routes, namespaces, a kernel panic) end with that process.
 */
export * from './bundle.ts';
export * from './detect.ts';
export * from './runner.ts';
