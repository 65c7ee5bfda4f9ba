/**
 * Messages of the scripts to the user. All are written to standard error, so that standard output
 * belongs to the requested command (`npm run lab -- --json` prints one document there).
 */
const colourful = process.stderr.isTTY === true && !process.env.NO_COLOR;
const paint = (code) => (text) => (colourful ? `\u001b[${code}m${text}\u001b[0m` : text);

export const bold = paint(1);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const dim = paint(2);

/** A line of progress. */
export function say(text) {
	process.stderr.write(`${text}\n`);
}

/** A highlighted line. */
export function warn(text) {
	process.stderr.write(`${yellow('!')} ${text}\n`);
}
