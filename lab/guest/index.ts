/**
 * A separate kernel that runs one command on the host's own files (read-only, except for those that
 * the caller names) and powers off: user-mode-linux (`lab/uml`) or Debian's kernel under QEMU
 * (`lab/qemu`). All effects inside (routes, namespaces, a kernel panic) end with it.
 */
export * from './errors.ts';
export * from './init-script.ts';
export * from './job.ts';
