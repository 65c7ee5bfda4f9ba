/**
 * One message to a Unix socket and all bytes up to the end of the connection, by the sockets of the
 * runtime that is in the executable. Rejects with an error that has a `code`.
 */
export function bunExchange(socket, message, waitMs) {
	return new Promise((resolve, reject) => {
		const chunks = [];
		let rest = Buffer.from(message);
		let connection;
		const timer = setTimeout(() => {
			reject(Object.assign(new Error('no response'), { code: 'ETIMEDOUT' }));
			connection?.terminate();
		}, waitMs);
		const fail = (error) => {
			clearTimeout(timer);
			reject(error);
		};
		// The kernel may take a part of the message; the rest follows when there is room.
		const write = (to) => {
			rest = rest.subarray(to.write(rest));
		};
		const handlers = {
			open: write,
			drain: write,
			// The runtime uses the buffer again.
			data: (_, data) => chunks.push(Buffer.from(data)),
			close(_, error) {
				clearTimeout(timer);
				if (error) reject(error);
				else resolve(Buffer.concat(chunks));
			},
			error: (_, error) => fail(error),
			connectError: (_, error) => fail(error),
		};
		globalThis.Bun.connect({ unix: socket, socket: handlers }).then((made) => {
			connection = made;
		}, fail);
	});
}
