import { fstatSync } from 'node:fs';
import { check, libc } from './libc.ts';

const unix = 1;
const datagram = 2;
const closeOnExec = 0x80000;
const pathOffset = 2;
/** Size of `sun_path` in `sockaddr_un`. */
const longestPath = 108;

/** A `sockaddr_un`; `@` begins an abstract name, in systemd's notation. */
function unixAddress(path: string): Uint8Array {
	const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
	if (name.length > longestPath)
		throw new RangeError(`the path of a Unix socket has at most ${longestPath} bytes: ${path}`);
	const address = new Uint8Array(pathOffset + name.length);
	new DataView(address.buffer).setUint16(0, unix, true);
	address.set(name, pathOffset);
	return address;
}

/**
 * Sends a state to the service manager, such as `READY=1`, `STOPPING=1`, `WATCHDOG=1` or several
 * lines of them (sd_notify(3)). This process itself sends it, as `NotifyAccess=main` requires.
 * `false`: there is no service manager.
 * @throws SystemCallError if `NOTIFY_SOCKET` names an unusable socket
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

/**
 * Half of the watchdog interval of the service manager, in milliseconds; `undefined`: no watchdog.
 */
export function watchdogIntervalMs(
	environment: Readonly<Record<string, string | undefined>> = process.env,
): number | undefined {
	const microseconds = Number(environment['WATCHDOG_USEC']);
	const forUs = environment['WATCHDOG_PID'] === undefined || environment['WATCHDOG_PID'] === String(process.pid);
	return forUs && microseconds > 0 ? microseconds / 2000 : undefined;
}

/**
 * `true` if the journal reads the file descriptor: `JOURNAL_STREAM` contains its device and inode
 * (systemd.exec(5)). Each line may then begin with its priority, `<3>` (sd-daemon(3)).
 */
export function isJournal(
	fileDescriptor: number,
	environment: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
	const stream = environment['JOURNAL_STREAM'];
	if (stream === undefined) return false;
	try {
		const { dev, ino } = fstatSync(fileDescriptor, { bigint: true });
		return stream === `${dev}:${ino}`;
	} catch {
		// A closed descriptor is not connected to the journal.
		return false;
	}
}
