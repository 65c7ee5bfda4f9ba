/** An API server in a process of its own, for tests that kill it. */
import { parseTokenFile, startApiServer } from '../../../src/apiserver/index.ts';

const server = await startApiServer({
	listen: { address: '127.0.0.1', port: 0 },
	users: parseTokenFile('secret,admin,admin,system:masters'),
	dataFolder: process.argv[2] ?? '',
});
process.stdout.write(`${server.url}\n`);
