import { readFileSync } from 'node:fs';

/** Files that the daemon itself has open, besides sessions. */
const ownDescriptors = 64;

/** How many files this process may open; Node raises the soft limit to the hard one when it starts. */
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

/** What to tell a person when `sessions` sessions do not fit the limit; `undefined` when they do. Pure. */
export function descriptorWarning(limit: number | undefined, sessions: number): string | undefined {
	if (limit === undefined || sessions + ownDescriptors <= limit) return undefined;
	return `${sessions} sessions need about ${sessions + ownDescriptors} open files, the limit is ${limit}: raise LimitNOFILE= of the unit, or ulimit -n`;
}
