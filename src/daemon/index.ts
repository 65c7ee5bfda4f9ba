/**
 * The daemon: `main` has signals and the service manager, `Daemon` the running rooms and the
 * reload, `compose` the rooms and their connections. Only this folder converts the file's
 * configuration into each room's own options.
 */
export { ExitCode, main, type Process } from './main.ts';
