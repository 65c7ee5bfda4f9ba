import { spawn } from 'node:child_process';
import {
	closeSync,
	existsSync,
	openSync,
	readdirSync,
	readFileSync,
	readSync,
	renameSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { LabPlace } from './run-here.ts';

/** A place, and the command `bgpmesh` in it. */
export interface LookingPlace extends LabPlace {
	readonly cli: readonly string[];
}

interface Request {
	readonly namespace: string;
	readonly command: readonly string[];
}

/**
 * The command line that runs a user's command in a namespace; `bgpmesh` there refers to the node's
 * daemon.
 */
export function commandIn({ prefix, folder, cli }: LookingPlace, { namespace, command }: Request): string[] {
	const [program = '', ...args] = command;
	const told = program === 'bgpmesh' ? [...cli, ...args, '--socket', join(folder, `${namespace}.sock`)] : command;
	const birdc = program === 'birdc' ? ['birdc', '-s', join(folder, 'tor.ctl'), ...args] : told;
	return ['ip', 'netns', 'exec', `${prefix}${namespace}`, ...birdc];
}

const pollMs = 100;
const requestFile = /^(\d+)\.request$/;

/**
 * Runs the requests of `requestFrom`, until the process exits. Requests are files: user-mode-linux
 * and its host share only a folder. `N.request` is removed, output is written to `N.output`, the
 * exit code to `N.status`.
 */
export function serveRequests(shared: string, place: LookingPlace): void {
	setInterval(() => {
		for (const name of readdirSync(shared)) {
			const id = requestFile.exec(name)?.[1];
			if (id === undefined) continue;
			const file = join(shared, name);
			// Written by requestFrom in one rename: complete, and of this shape.
			const request = JSON.parse(readFileSync(file, 'utf8')) as Request;
			rmSync(file);
			const output = openSync(join(shared, `${id}.output`), 'a');
			const [program = '', ...args] = commandIn(place, request);
			const child = spawn(program, args, { stdio: ['ignore', output, output] });
			closeSync(output);
			const finish = (status: number) => {
				writeFileSync(join(shared, `${id}.status.new`), `${status}`);
				renameSync(join(shared, `${id}.status.new`), join(shared, `${id}.status`));
			};
			child.on('error', () => finish(127));
			child.on('exit', (code) => finish(code ?? 128));
		}
	}, pollMs).unref();
}

/**
 * Requests a command from `serveRequests`, shows its output as it is written, and returns its exit
 * code.
 */
export async function requestFrom(shared: string, request: Request): Promise<number> {
	const base = join(shared, `${process.pid}`);
	writeFileSync(`${base}.request.new`, JSON.stringify(request));
	renameSync(`${base}.request.new`, `${base}.request`);
	const buffer = Buffer.alloc(65536);
	let position = 0;
	const show = () => {
		if (!existsSync(`${base}.output`)) return;
		const output = openSync(`${base}.output`, 'r');
		for (
			let read = readSync(output, buffer, 0, buffer.length, position);
			read > 0;
			read = readSync(output, buffer, 0, buffer.length, position)
		) {
			process.stdout.write(Buffer.from(buffer.subarray(0, read)));
			position += read;
		}
		closeSync(output);
	};
	while (!existsSync(`${base}.status`)) {
		show();
		await pause(pollMs);
	}
	show();
	const status = Number(readFileSync(`${base}.status`, 'utf8'));
	for (const end of ['output', 'status']) rmSync(`${base}.${end}`, { force: true });
	return status;
}
