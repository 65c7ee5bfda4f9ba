import { text } from 'node:stream/consumers';
import { ControlClient } from '../control/index.ts';
import { parseConfiguration } from './configuration.ts';
import { parseEnvironment } from './environment.ts';
import { CniCode, CniError, errorResult } from './errors.ts';
import { runPlugin } from './plugin.ts';

/** Standard input and environment to standard output and exit code, as the CNI specification has it. */
export async function main(): Promise<void> {
	let cniVersion = '1.1.0';
	try {
		const environment = parseEnvironment(process.env);
		const input = await text(process.stdin);
		// VERSION may come with nothing but a version, or with nothing at all.
		const configuration = parseConfiguration(environment.command === 'VERSION' ? JSON.stringify({ name: '-', ...parsedOrNothing(input) }) : input);
		cniVersion = configuration.cniVersion;
		const result = await runPlugin(environment, configuration, new ControlClient(configuration.socket));
		if (result !== undefined) process.stdout.write(`${JSON.stringify(result)}\n`);
	} catch (error) {
		const refusal = error instanceof CniError ? error : new CniError(CniCode.ioFailure, error instanceof Error ? error.message : String(error));
		process.stdout.write(`${errorResult(cniVersion, refusal)}\n`);
		process.exitCode = 1;
	}
}

function parsedOrNothing(input: string): object {
	if (input.trim() === '') return {};
	try {
		const value: unknown = JSON.parse(input);
		return typeof value === 'object' && value !== null ? { cniVersion: (value as { cniVersion?: unknown }).cniVersion } : {};
	} catch (error) {
		throw new CniError(CniCode.decodingFailure, 'standard input is not JSON', error instanceof Error ? error.message : String(error));
	}
}
