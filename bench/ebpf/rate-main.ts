/**
 * Arguments: address and port. For each line with a number of seconds: connects, reads until the
 * server closes, closes, again and again for that time; answers with the number of connections.
 */
import { createInterface } from 'node:readline';
import { check, libc } from '../../src/linux/index.ts';
import { socketAddress } from './connect.ts';

const [address = '', port = ''] = process.argv.slice(2);
const target = socketAddress(address, Number(port));
const [inet, stream] = [2, 1];
const buffer = new Uint8Array(64);

for await (const line of createInterface({ input: process.stdin })) {
	const end = performance.now() + Number(line) * 1000;
	let made = 0;
	while (performance.now() < end) {
		const fd = check('socket', libc().socket(inet, stream, 0));
		check(`connect to ${address}:${port}`, libc().connect(fd, target, target.length));
		libc().recv(fd, buffer, buffer.length, 0);
		libc().close(fd);
		made++;
	}
	process.stdout.write(`${made}\n`);
}
