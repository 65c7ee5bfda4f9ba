import { readFileSync, writeSync } from 'node:fs';
import { parseConfiguration, speaks } from './configuration.ts';
import { askDaemon, type Exchange } from './daemon.ts';
import { parseEnvironment } from './environment.ts';
import { CniCode, CniError, errorResult } from './errors.ts';
import { runPlugin } from './plugin.ts';

/** The newest version: the default for a caller that does not give its version. */
const newest = '1.1.0';

/** Standard input and environment to standard output and exit code, as in the CNI specification. */
export async function main(exchange: Exchange): Promise<void> {
	let cniVersion: string = newest;
	try {
		const environment = parseEnvironment(process.env);
		const input = await standardInput();
		cniVersion = spokenVersion(input);
		// The input of VERSION may have only a version, an unsupported one, or be empty.
		const configuration = parseConfiguration(
			environment.command === 'VERSION' ? JSON.stringify({ name: 'any', cniVersion }) : input,
		);
		const result = await runPlugin(environment, configuration, askDaemon(configuration.socket, exchange));
		if (result !== undefined) print(JSON.stringify(result));
	} catch (error) {
		const refusal =
			error instanceof CniError
				? error
				: new CniError(CniCode.ioFailure, error instanceof Error ? error.message : String(error));
		print(errorResult(cniVersion, refusal));
		process.exitCode = 1;
	}
}

/**
 * Read and written without the streams of Node.js, which take longer to load than all other modules
 * here.
 */
async function standardInput(): Promise<string> {
	try {
		return readFileSync(0, 'utf8');
	} catch (error) {
		// The descriptor is non-blocking.
		if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
		const { text } = await import('node:stream/consumers');
		return text(process.stdin);
	}
}

/**
 * If the caller has ended, only the exit code remains. The caller has to release an address whose
 * result it did not receive.
 */
function print(line: string): void {
	let rest = Buffer.from(`${line}\n`);
	try {
		while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
		process.exitCode = 1;
	}
}

/**
 * The version of the response, even if the rest of the input is invalid; the newest one if the
 * caller's is not supported.
 */
function spokenVersion(input: string): string {
	try {
		const value: unknown = JSON.parse(input);
		const version =
			typeof value === 'object' && value !== null ? (value as { cniVersion?: unknown }).cniVersion : undefined;
		return speaks(version) ? version : newest;
	} catch {
		// The verb that needs the input reports the syntax error.
		return newest;
	}
}
