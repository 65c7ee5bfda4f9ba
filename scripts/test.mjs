/**
 * `npm test [-- FILE|FOLDER... AVA-FLAGS...]`: sets up what is missing, compiles, runs the tests, and ends with the line
 * `N passed, N failed, N skipped`. `--node BINARY` runs them with another Node.js; `--quick` leaves out the suites that are marked long.
 */
import { runAva } from './lib/ava.mjs';
import { bold, red, say } from './lib/say.mjs';
import { setUp } from './lib/setup.mjs';
import { chooseFiles, compiledPath, testFiles } from './lib/suites.mjs';

const flagsWithValue = new Set(['--match', '-m', '--timeout', '-T', '--node-arguments']);

/** Own options, what goes on to ava, and paths. */
function parseArguments(given) {
	const parsed = { node: process.execPath, quick: false, flags: [], paths: [] };
	const rest = [...given];
	while (rest.length > 0) {
		const word = rest.shift();
		if (word === '--node') parsed.node = rest.shift() ?? parsed.node;
		else if (word === '--quick') parsed.quick = true;
		else if (flagsWithValue.has(word)) parsed.flags.push(word, rest.shift() ?? '');
		else if (word.startsWith('-')) parsed.flags.push(word);
		else parsed.paths.push(compiledPath(word));
	}
	return parsed;
}

const { node, quick, flags, paths } = parseArguments(process.argv.slice(2));
await setUp();

const total = { passed: 0, failed: 0, skipped: 0 };
const { together, serial } = chooseFiles(testFiles(), paths, { quick });
const run = async (files, concurrency) => {
	const counts = await runAva(files, { node, concurrency, flags });
	for (const key of Object.keys(total)) total[key] += counts[key];
};
if (together.length > 0) {
	say(bold(`\ntests: ${together.length} files`));
	await run(together, 2);
}
if (serial.length > 0) {
	say(bold(`\ntests with real daemons and kernels, one file at a time: ${serial.length} files`));
	// A runner for each: one that never ends is named, and takes no other with it.
	for (const file of serial) await run([file], 1);
}
if (total.passed + total.failed === 0) say(red('no test ran'));
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
// The closing line stays alone on standard output, and last.
process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
