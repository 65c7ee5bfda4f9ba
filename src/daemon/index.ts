/**
 * The daemon: `main` has signals and the service manager, `Daemon` what runs and how it is reloaded, `compose` the rooms and
 * their connections. Here, and nowhere else, the file's configuration is cut into each room's own options.
 */
export { ExitCode, main, type Process } from './main.ts';
