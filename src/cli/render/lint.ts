import type { LintView } from '../../control/index.ts';
import { count, paint, type Screen } from './screen.ts';

/** What contradicts itself, and what to do about it. */
export function renderLint(screen: Screen, { checked, findings }: LintView): string {
	const seen =
		`Checked ${count(checked.nodes, 'node')}, ${count(checked.pools, 'pool')}, ` +
		`${count(checked.peers, 'peer')}, ${count(checked.filters, 'filter')}.\n`;
	if (findings.length === 0) return `${seen}No contradictions.\n`;
	const lines = findings.map(
		({ severity, rule, subject, problem, hint }) =>
			`${paint(screen, severity === 'error' ? 'bad' : 'odd', severity)} ${subject}: ${problem} ` +
			`[${rule}]\n  ${paint(screen, 'dim', hint)}\n`,
	);
	return `${lines.join('')}\n${seen}${count(findings.length, 'finding')}.\n`;
}
