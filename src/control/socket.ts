import { chown, mkdir, readFile, readlink, stat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';

/**
 * `sun_path` has 108 bytes, one of them the end of the text (unix(7)); the runtime cuts longer
 * paths off silently.
 */
const mostPathBytes = 107;

/** Another process answers at the control socket: this daemon must not start. */
export class SocketInUseError extends Error {
	override readonly name = 'SocketInUseError';
	readonly socket: string;

	constructor(socket: string) {
		super(`another daemon answers at ${socket}`);
		this.socket = socket;
	}
}

/** The socket's path is taken by something that is no socket, or its group is unknown. */
export class SocketPathError extends Error {
	override readonly name = 'SocketPathError';
}

/**
 * Listens at a Unix socket with mode 0660. A socket that a dead daemon left is removed; one that
 * answers is not. @throws SocketInUseError, SocketPathError
 */
export async function listenUnix(
	server: Server,
	socket: string,
	group: string | undefined,
): Promise<{ readonly leftBehind: boolean }> {
	if (Buffer.byteLength(socket) > mostPathBytes)
		throw new SocketPathError(
			`${socket} is ${Buffer.byteLength(socket)} bytes long; the path of a socket has at most ${mostPathBytes}`,
		);
	const gid = group === undefined ? undefined : await groupId(group);
	await mkdir(dirname(socket), { recursive: true });
	const leftBehind = await removeStale(socket);
	const listening = new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.once('listening', resolve);
	});
	// The socket is made inside listen(): no connection is possible before the mode is set.
	const before = process.umask(0o117);
	try {
		server.listen(socket);
	} finally {
		process.umask(before);
	}
	await listening;
	if (gid !== undefined) await chown(socket, -1, gid);
	return { leftBehind };
}

/** Was there one to remove? */
async function removeStale(socket: string): Promise<boolean> {
	const found = await stat(socket).catch(() => undefined);
	if (found === undefined) {
		const target = await readlink(socket).catch(() => undefined);
		if (target === undefined) return false;
		throw new SocketPathError(
			`${socket} is a symbolic link to ${target}, where nothing is: remove the link, or name ` +
				'another path in control.socket',
		);
	}
	if (!found.isSocket()) throw new SocketPathError(`${socket} is there and is no socket`);
	if (await answers(socket)) throw new SocketInUseError(socket);
	await unlink(socket);
	return true;
}

/** Does a process accept connections there? */
function answers(socket: string): Promise<boolean> {
	return new Promise((resolve, reject) => {
		const attempt = connect(socket);
		attempt.once('connect', () => {
			attempt.destroy();
			resolve(true);
		});
		attempt.once('error', (error: NodeJS.ErrnoException) => {
			if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
			else reject(error);
		});
	});
}

async function groupId(group: string): Promise<number> {
	if (/^\d+$/.test(group)) return Number(group);
	const lines = (await readFile('/etc/group', 'utf8')).split('\n');
	const line = lines.map((text) => text.split(':')).find(([name]) => name === group);
	if (line === undefined) throw new SocketPathError(`there is no group '${group}'`);
	return Number(line[2]);
}
