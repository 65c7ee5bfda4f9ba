import { paint, type Screen, type Style, tame } from './screen.ts';

/** A cell: text, or text in a style. */
export type Cell = string | number | undefined | { readonly text: string; readonly style: Style };

/** A column of a table; numbers stand right. */
export interface Column<T> {
	readonly title: string;
	readonly align?: 'left' | 'right';
	readonly cell: (row: T) => Cell;
}

/** Rows under a line of titles, as wide as needed; columns without any content are left out. Ends in a line end. */
export function table<T>(screen: Screen, columns: readonly Column<T>[], rows: readonly T[]): string {
	const cells = rows.map((row) => columns.map(({ cell }) => plain(cell(row))));
	const kept = columns.map((_, index) => rows.length === 0 || cells.some((row) => row[index]?.text !== ''));
	const lines = [columns.map(({ title }) => ({ text: title, style: 'dim' as Style })), ...cells];
	const widths = columns.map((_, index) => Math.max(...lines.map((line) => width(line[index]?.text ?? ''))));
	return lines
		.map((line) => {
			const parts = line.flatMap((cell, index) => (kept[index] === true ? [padded(screen, cell, widths[index] ?? 0, columns[index]?.align ?? 'left')] : []));
			return `${trimEnd(parts.join('  '))}\n`;
		})
		.join('');
}

/** Lines of `name  value` with the values under each other; those without a value are left out. */
export function facts(screen: Screen, pairs: readonly (readonly [name: string, value: Cell])[], indent = ''): string {
	const shown = pairs.map(([name, value]) => ({ name, ...plain(value) })).filter(({ text }) => text !== '');
	const widest = Math.max(0, ...shown.map(({ name }) => name.length));
	return shown.map(({ name, text, style }) => `${indent}${paint(screen, 'dim', name.padEnd(widest))}  ${paint(screen, style, text)}\n`).join('');
}

function plain(cell: Cell): { readonly text: string; readonly style: Style } {
	if (typeof cell === 'object') return { text: tame(cell.text), style: cell.style };
	return { text: cell === undefined ? '' : tame(String(cell)), style: 'plain' };
}

function padded(screen: Screen, { text, style }: { readonly text: string; readonly style: Style }, columns: number, align: 'left' | 'right'): string {
	const space = ' '.repeat(Math.max(0, columns - width(text)));
	return align === 'right' ? `${space}${paint(screen, style, text)}` : `${paint(screen, style, text)}${space}`;
}

/** Characters, not UTF-16 units. */
const width = (text: string): number => [...text].length;
const trimEnd = (text: string): string => text.replace(/ +$/, '');
