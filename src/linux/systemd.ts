import { check, libc } from './libc.ts';

const unix = 1;
const datagram = 2;
const closeOnExec = 0x80000;
const pathOffset = 2;
/** Of `sun_path` in `sockaddr_un`. */
const longestPath = 108;

/** A `sockaddr_un`; `@` begins an abstract name, as systemd writes it. */
function unixAddress(path: string): Uint8Array {
	const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
	if (name.length > longestPath) throw new RangeError(`the path of a Unix socket has at most ${longestPath} bytes: ${path}`);
	const address = new Uint8Array(pathOffset + name.length);
	new DataView(address.buffer).setUint16(0, unix, true);
	address.set(name, pathOffset);
	return address;
}

/**
 * Tells the service manager a state, such as `READY=1`, `STOPPING=1`, `WATCHDOG=1` or several lines of them (sd_notify(3)).
 * It is sent by this very process, as `NotifyAccess=main` asks. `false`: no service manager listens.
 * @throws SystemCallError when `NOTIFY_SOCKET` names a socket that takes nothing
 */
export function notifySystemd(state: string, socketPath: string | undefined = process.env['NOTIFY_SOCKET']): boolean {
	if (socketPath === undefined || socketPath === '') return false;
	const { socket, sendto, close } = libc();
	const address = unixAddress(socketPath);
	const bytes = Buffer.from(state);
	const fd = check('socket', socket(unix, datagram | closeOnExec, 0));
	try {
		check('sendto', sendto(fd, bytes, bytes.length, 0, address, address.length));
	} finally {
		close(fd);
	}
	return true;
}

/** Half of the time in which the service manager wants a `WATCHDOG=1`, in milliseconds; `undefined`: it wants none. */
export function watchdogIntervalMs(environment: Readonly<Record<string, string | undefined>> = process.env): number | undefined {
	const microseconds = Number(environment['WATCHDOG_USEC']);
	const forUs = environment['WATCHDOG_PID'] === undefined || environment['WATCHDOG_PID'] === String(process.pid);
	return forUs && microseconds > 0 ? microseconds / 2000 : undefined;
}
