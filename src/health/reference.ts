import { hostLimits } from './host-limits.ts';
import { hostSettings, settingName } from './host-settings.ts';
import { type ProblemRow, problems } from './problems.ts';

const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const cell = (text: string) => text.replaceAll('|', '\\|');

/** The table of problems as Markdown. */
export function problemsManual(): string {
	const rows: readonly (readonly [string, ProblemRow])[] = Object.entries(problems);
	return [
		row(['identifier', 'severity', 'blocks', 'what is wrong', 'what to do']),
		row(['---', '---', '---', '---', '---']),
		...rows.map(([id, { severity, blocks, text, remedy }]) =>
			row([`\`${id}\``, severity, blocks.join(', ') || '–', cell(text), cell(remedy)]),
		),
	].join('\n');
}

/** The table of kernel settings as Markdown. */
export function settingsManual(): string {
	return [
		row(['setting', 'value', 'written at the start', 'another value breaks']),
		row(['---', '---', '---', '---']),
		...hostSettings.map(({ path, accepted, written, breaks }) =>
			row([`\`${settingName(path)}\``, accepted.join(' or '), written ? 'yes' : 'no', cell(breaks)]),
		),
		...Object.values(hostLimits).map(({ name, bound, written, breaks }) =>
			row([name.includes('.') ? `\`${name}\`` : name, cell(bound), written ? 'yes' : 'no', cell(breaks)]),
		),
	].join('\n');
}
