import { readFile } from 'node:fs/promises';
import { type Config, ConfigError, type ConfigProblem } from '../config/index.ts';
import type { PasswordKeys } from './peer-options.ts';

/** The limit of Linux: TCP_MD5SIG_MAXKEYLEN. */
const longestKeyBytes = 80;

/**
 * Reads every key file in the configuration; the last line end is not part of the key. @throws
 * ConfigError with each unusable file
 */
export async function readPasswords(config: Config, configFile: string): Promise<PasswordKeys> {
	const keys = new Map<string, string>();
	const problems: ConfigProblem[] = [];
	for (const [list, sessions] of Object.entries({
		peers: config.bgp?.peers ?? [],
		peerRanges: config.bgp?.peerRanges ?? [],
	})) {
		for (const [index, { passwordFile }] of sessions.entries()) {
			if (passwordFile === undefined || keys.has(passwordFile)) continue;
			const found = await readKey(passwordFile).catch((error: NodeJS.ErrnoException) => ({
				problem: `${passwordFile}: ${error.code ?? error.message}`,
			}));
			if ('key' in found) keys.set(passwordFile, found.key);
			else
				problems.push({
					line: 0,
					column: 0,
					key: `bgp.${list}[${index}].passwordFile`,
					found: found.problem,
					expected: `a readable file with a key of 1 to ${longestKeyBytes} bytes`,
				});
		}
	}
	if (problems.length > 0) throw new ConfigError(configFile, problems);
	return keys;
}

async function readKey(file: string): Promise<{ readonly key: string } | { readonly problem: string }> {
	const key = (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
	const bytes = Buffer.byteLength(key);
	return bytes >= 1 && bytes <= longestKeyBytes ? { key } : { problem: `${file}: ${bytes} bytes` };
}
