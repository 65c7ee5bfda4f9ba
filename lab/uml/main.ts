import { parseArgs } from 'node:util';
import { GuestError } from '../guest/index.ts';
import { runInUml } from './runner.ts';

const usage = `Usage: node dist/lab/uml/main.js [OPTIONS] -- COMMAND [ARGUMENT...]

Runs COMMAND inside user-mode-linux, a kernel with IPIP, on this host's files (read-only), and ends with its exit code.

  --memory MIB        memory of that kernel (default 1024)
  --timeout SECONDS   most time for all of it (default 300)
  --writable FOLDER   a folder that COMMAND may write to; may be given several times
  --in-memory FOLDER  a folder to be copied into memory first; may be given several times
  --env NAME=VALUE    a variable for COMMAND; may be given several times`;

function parse(argv: readonly string[]) {
	return parseArgs({
		args: [...argv],
		allowPositionals: true,
		options: {
			memory: { type: 'string', default: '1024' },
			timeout: { type: 'string', default: '300' },
			writable: { type: 'string', multiple: true, default: [] },
			'in-memory': { type: 'string', multiple: true, default: [] },
			env: { type: 'string', multiple: true, default: [] },
			help: { type: 'boolean', default: false },
		},
	});
}

async function main(argv: readonly string[]): Promise<number> {
	const { values, positionals } = parse(argv);
	const [command, ...args] = positionals;
	if (values.help || command === undefined) {
		(values.help ? process.stdout : process.stderr).write(`${usage}\n`);
		return values.help ? 0 : 2;
	}
	const interrupted = new AbortController();
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort());
	const { exitCode } = await runInUml({
		command,
		args,
		memoryMiB: Number(values.memory),
		timeoutSeconds: Number(values.timeout),
		writable: values.writable,
		inMemory: values['in-memory'],
		env: Object.fromEntries(
			values.env.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
		),
		onOutput: (stream, chunk) => process[stream].write(chunk),
		signal: interrupted.signal,
	});
	return exitCode;
}

try {
	process.exitCode = await main(process.argv.slice(2));
} catch (error) {
	if (!(error instanceof GuestError) && !(error instanceof TypeError)) throw error;
	process.stderr.write(`${error.message}\n`);
	process.exitCode = error instanceof GuestError ? 125 : 2;
}
