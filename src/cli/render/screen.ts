const codes = { plain: '', bold: '1', dim: '2', good: '32', bad: '31', odd: '33' } as const;
export type Style = keyof typeof codes;

/** Where text is shown: with or without colours, and how late it is there. */
export interface Screen {
	readonly colours: boolean;
	/** Characters of a line on a terminal; `undefined` elsewhere, where lines have any length. */
	readonly columns?: number | undefined;
	/** For "how long ago". */
	readonly nowMs: number;
}

/** A screen that is written while its rows arrive: each call gives the text to write now. */
export interface ListScreen<Row, Rest> {
	readonly add: (row: Row) => string;
	/** `rest`: the answer without its rows. */
	readonly end: (rest: Rest) => string;
}

/** The whole text of such a screen, for rows that are all there. */
export function wholeScreen<Row, Rest>({ add, end }: ListScreen<Row, Rest>, rows: Iterable<Row>, rest: Rest): string {
	let text = '';
	for (const row of rows) text += add(row);
	return text + end(rest);
}

/** Text in a style, where the screen has colours. */
export function paint(screen: Screen, style: Style, text: string): string {
	return screen.colours && style !== 'plain' && text !== '' ? `\u001b[${codes[style]}m${text}\u001b[0m` : text;
}

/** Control characters, and those that change the direction of text. */
const obeyed = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Text that came from elsewhere, without anything that a terminal would obey. */
export function tame(text: string): string {
	return text.replace(obeyed, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** How long something has been so: `00:03:12`, `3d04h12m`, `12w3d`. */
export function ago(screen: Screen, iso: string): string {
	return duration((screen.nowMs - Date.parse(iso)) / 1000);
}

/** A duration as routers show it. */
export function duration(seconds: number): string {
	const whole = Math.max(0, Math.floor(seconds));
	const two = (value: number) => String(value).padStart(2, '0');
	const days = Math.floor(whole / 86_400);
	const hours = Math.floor(whole / 3600) % 24;
	const minutes = Math.floor(whole / 60) % 60;
	if (days === 0) return `${two(hours)}:${two(minutes)}:${two(whole % 60)}`;
	return days < 14 ? `${days}d${two(hours)}h${two(minutes)}m` : `${Math.floor(days / 7)}w${days % 7}d`;
}

/** A time to the second, as the daemon gave it. */
export function moment(iso: string): string {
	return iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

/** `1 route`, `2 routes`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
	return `${number} ${number === 1 ? noun : plural}`;
}

/** Bytes as people read them. */
export function bytes(number: number): string {
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
	const step = number < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(number) / 10));
	return `${step === 0 ? number : (number / 1024 ** step).toFixed(1)} ${units[step]}`;
}
