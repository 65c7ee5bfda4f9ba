import { readdirSync, readFileSync } from 'node:fs';

/** Files that the daemon itself has open, besides sessions. */
const ownDescriptors = 64;

/**
 * The limit of open files of this process; Node raises the soft limit to the hard one at its start.
 */
export function descriptorLimit(): number | undefined {
	try {
		const line = readFileSync('/proc/self/limits', 'utf8')
			.split('\n')
			.find((text) => text.startsWith('Max open files'));
		const soft = line?.split(/\s{2,}/)[1];
		return soft === 'unlimited' ? Number.POSITIVE_INFINITY : soft === undefined ? undefined : Number(soft);
	} catch {
		return undefined;
	}
}

/**
 * The message for the user if `sessions` sessions exceed the limit; `undefined` if they fit. Pure.
 */
export function descriptorWarning(limit: number | undefined, sessions: number): string | undefined {
	if (limit === undefined || sessions + ownDescriptors <= limit) return undefined;
	return (
		`${sessions} sessions need about ${sessions + ownDescriptors} open files, the limit is ` +
		`${limit}: raise LimitNOFILE= of the unit, or ulimit -n`
	);
}

/** Number of files that this process has open. */
export function descriptorsInUse(): number | undefined {
	try {
		return readdirSync('/proc/self/fd').length;
	} catch {
		return undefined;
	}
}

/**
 * The message for the user if the limit is (nearly) reached: then connections are refused without
 * any other sign. Pure.
 */
export function descriptorAlarm(limit: number | undefined, inUse: number | undefined): string | undefined {
	if (limit === undefined || inUse === undefined || inUse < limit * 0.98) return undefined;
	return (
		`${inUse} of ${limit} files are open: new sessions are refused (EMFILE); raise LimitNOFILE= ` +
		'of the unit, or ulimit -n'
	);
}
