import { readFileSync, writeSync } from 'node:fs';
import { parseConfiguration, speaks } from './configuration.ts';
import { askDaemon } from './daemon.ts';
import { parseEnvironment } from './environment.ts';
import { CniCode, CniError, errorResult } from './errors.ts';
import { runPlugin } from './plugin.ts';

/** The newest version: what a caller gets who has not said which it speaks. */
const newest = '1.1.0';

/** Standard input and environment to standard output and exit code, as the CNI specification has it. */
export async function main(): Promise<void> {
	let cniVersion: string = newest;
	try {
		const environment = parseEnvironment(process.env);
		const input = await standardInput();
		cniVersion = spokenVersion(input);
		// VERSION may come with nothing but a version, one that we do not speak, or with nothing at all.
		const configuration = parseConfiguration(environment.command === 'VERSION' ? JSON.stringify({ name: 'any', cniVersion }) : input);
		const result = await runPlugin(environment, configuration, askDaemon(configuration.socket));
		if (result !== undefined) print(JSON.stringify(result));
	} catch (error) {
		const refusal = error instanceof CniError ? error : new CniError(CniCode.ioFailure, error instanceof Error ? error.message : String(error));
		print(errorResult(cniVersion, refusal));
		process.exitCode = 1;
	}
}

/** Read and written without Node.js' streams, which take longer to load than all else here. */
async function standardInput(): Promise<string> {
	try {
		return readFileSync(0, 'utf8');
	} catch (error) {
		// A caller that handed over a descriptor that does not block.
		if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
		const { text } = await import('node:stream/consumers');
		return text(process.stdin);
	}
}

/** A caller that is not there any more is told by the exit code alone; it releases what it did not hear of. */
function print(line: string): void {
	let rest = Buffer.from(`${line}\n`);
	try {
		while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
		process.exitCode = 1;
	}
}

/** The version in which to answer, whatever else is wrong with the input; the newest if we do not speak it. */
function spokenVersion(input: string): string {
	try {
		const value: unknown = JSON.parse(input);
		const version = typeof value === 'object' && value !== null ? (value as { cniVersion?: unknown }).cniVersion : undefined;
		return speaks(version) ? version : newest;
	} catch {
		// Whoever needs the input reports that.
		return newest;
	}
}
