import type { ProblemView } from '../../core/index.ts';
import type { HostCheck } from '../verb.ts';
import { paint, type Screen, type Style } from './screen.ts';
import { renderProblems } from './status.ts';
import { type Column, table } from './table.ts';

const styles: Readonly<Record<HostCheck['state'], Style>> = { ok: 'good', wrong: 'bad', unknown: 'odd' };

const columns: readonly Column<HostCheck>[] = [
	{ title: 'SETTING', cell: ({ name }) => name },
	{ title: 'STATE', cell: ({ state }) => ({ text: state, style: styles[state] }) },
	{ title: 'FOUND', cell: ({ found }) => found },
	{ title: 'WANTED', cell: ({ wanted }) => wanted },
	{ title: 'BREAKS', cell: ({ state, breaks }) => (state === 'ok' ? undefined : breaks) },
];

/**
 * What was checked on this host, what to do where something is wrong, and the problems of the
 * daemon. `problems`: `undefined` without a daemon.
 */
export function renderDoctor(
	screen: Screen,
	checks: readonly HostCheck[],
	problems: readonly ProblemView[] | undefined,
): string {
	const remedies = checks
		.filter(({ state }) => state === 'wrong')
		.map(({ name, remedy }) => `${paint(screen, 'bad', name)}: ${remedy}\n`)
		.join('');
	const daemon =
		problems === undefined ? 'No daemon answers: only the host was checked.\n' : renderProblems(screen, problems);
	return `${table(screen, columns, checks)}${remedies === '' ? '' : `\nWhat to do:\n${remedies}`}\nDaemon: ${daemon}`;
}
