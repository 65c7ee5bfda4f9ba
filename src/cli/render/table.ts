import { paint, type Screen, type Style, tame } from './screen.ts';

/** A cell: text, or text in a style. */
export type Cell = string | number | undefined | { readonly text: string; readonly style: Style };

/** A column of a table; numbers stand right. */
export interface Column<T> {
	readonly title: string;
	readonly align?: 'left' | 'right';
	readonly cell: (row: T) => Cell;
}

type Plain = { readonly text: string; readonly style: Style };

/** Rows that are held before the first ones are shown: as many are sorted and have one layout. */
const heldRows = 20_000;
/** Rows that are shown together after that. */
const pageRows = 1000;
/** What a column keeps of its width where the terminal is too narrow. */
const leastWidth = 12;

/**
 * A table that is written while its rows arrive. Up to 20,000 rows are put in order and fill one
 * layout; more are shown in pages in the order in which they come, each at least as wide as the one
 * before. Columns without any content are left out. On a terminal the widest columns are cut so
 * that a line fits.
 */
export class TableWriter<T> {
	readonly #screen: Screen;
	readonly #columns: readonly Column<T>[];
	readonly #inOrder: (rows: readonly T[]) => readonly T[];
	#rows: T[] = [];
	#paged = false;
	#kept: readonly boolean[] = [];
	#widths: readonly number[];
	/** Rows so far. */
	count = 0;

	constructor(
		screen: Screen,
		columns: readonly Column<T>[],
		inOrder: (rows: readonly T[]) => readonly T[] = (rows) => rows,
	) {
		this.#screen = screen;
		this.#columns = columns;
		this.#inOrder = inOrder;
		this.#widths = columns.map(({ title }) => width(title));
	}

	/** Takes a row; gives the text to write now, mostly none. */
	add(row: T): string {
		this.#rows.push(row);
		this.count++;
		if (this.#rows.length < (this.#paged ? pageRows : heldRows)) return '';
		this.#paged = true;
		return this.#page(this.#rows);
	}

	/** The rest of the text; ends in a line end, and is empty where no row came. */
	end(): string {
		if (this.#rows.length === 0) return '';
		return this.#page(this.#paged ? this.#rows : this.#inOrder(this.#rows));
	}

	#page(rows: readonly T[]): string {
		this.#rows = [];
		const lines = rows.map((row) => this.#columns.map(({ cell }) => plain(cell(row))));
		const kept = this.#columns.map(
			(_, index) => this.#kept[index] === true || lines.some((line) => line[index]?.text !== ''),
		);
		const titled = kept.some((keep, index) => keep !== this.#kept[index]);
		const again = this.#kept.length > 0;
		this.#kept = kept;
		this.#widths = this.#widths.map((least, index) =>
			lines.reduce((widest, line) => Math.max(widest, width(line[index]?.text ?? '')), least),
		);
		const widths = fitted(this.#widths, kept, this.#screen.columns);
		const titles = this.#columns.map(({ title }): Plain => ({ text: title, style: 'dim' }));
		const shown = titled ? [titles, ...lines] : lines;
		return `${titled && again ? '\n' : ''}${shown.map((line) => this.#line(line, widths)).join('')}`;
	}

	#line(line: readonly Plain[], widths: readonly number[]): string {
		const parts = line.flatMap((cell, index) =>
			this.#kept[index] === true
				? [padded(this.#screen, cell, widths[index] ?? 0, this.#columns[index]?.align ?? 'left')]
				: [],
		);
		return `${trimEnd(parts.join('  '))}\n`;
	}
}

/** Rows under a line of titles, as wide as needed or as the terminal allows. Ends in a line end. */
export function table<T>(screen: Screen, columns: readonly Column<T>[], rows: readonly T[]): string {
	const writer = new TableWriter(screen, columns);
	let text = '';
	for (const row of rows) text += writer.add(row);
	return text + writer.end();
}

/**
 * The widths with the widest ones cut until the line fits; a narrow terminal gets long lines all
 * the same.
 */
function fitted(widths: readonly number[], kept: readonly boolean[], most: number | undefined): readonly number[] {
	if (most === undefined) return widths;
	const fit = [...widths];
	const separators = 2 * Math.max(0, kept.filter((keep) => keep).length - 1);
	for (;;) {
		const total = fit.reduce((sum, each, index) => sum + (kept[index] === true ? each : 0), separators);
		const widest = fit.reduce(
			(found, each, index) => (kept[index] === true && each > (fit[found] ?? 0) ? index : found),
			kept.indexOf(true),
		);
		const value = fit[widest] ?? 0;
		if (total <= most || value <= leastWidth) return fit;
		fit[widest] = Math.max(leastWidth, value - (total - most), secondWidest(fit, kept, widest) - 1);
	}
}

const secondWidest = (widths: readonly number[], kept: readonly boolean[], except: number): number =>
	widths.reduce((most, each, index) => (kept[index] === true && index !== except ? Math.max(most, each) : most), 0);

/** Lines of `name  value` with the values under each other; those without a value are left out. */
export function facts(screen: Screen, pairs: readonly (readonly [name: string, value: Cell])[], indent = ''): string {
	const shown = pairs.map(([name, value]) => ({ name, ...plain(value) })).filter(({ text }) => text !== '');
	const widest = shown.reduce((most, { name }) => Math.max(most, name.length), 0);
	return shown
		.map(
			({ name, text, style }) =>
				`${indent}${paint(screen, 'dim', name.padEnd(widest))}  ${paint(screen, style, text)}\n`,
		)
		.join('');
}

function plain(cell: Cell): Plain {
	if (typeof cell === 'object') return { text: tame(cell.text), style: cell.style };
	return { text: cell === undefined ? '' : tame(String(cell)), style: 'plain' };
}

function padded(screen: Screen, { text, style }: Plain, columns: number, align: 'left' | 'right'): string {
	const shown = cut(text, columns);
	const space = ' '.repeat(Math.max(0, columns - width(shown)));
	return align === 'right' ? `${space}${paint(screen, style, shown)}` : `${paint(screen, style, shown)}${space}`;
}

/** A text in at most so many characters; what is left out shows as `…`. */
function cut(text: string, columns: number): string {
	return width(text) <= columns ? text : `${[...text].slice(0, Math.max(0, columns - 1)).join('')}…`;
}

/** Characters, not UTF-16 units; most texts are ASCII, where both are the same. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
const width = (text: string): number => (/^[\x00-\x7f]*$/.test(text) ? text.length : [...text].length);
const trimEnd = (text: string): string => text.replace(/ +$/, '');
