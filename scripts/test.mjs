/**
 * `npm test [-- FILE|FOLDER... AVA-FLAGS...]`: sets up missing parts, compiles, runs the tests, and
 * ends with the line `N passed, N failed, N skipped`. `--node BINARY` runs them with another
 * Node.js; `--quick` skips the suites marked long, `--unit` all that start real daemons or kernels.
 * `--peers sid` runs the daemons of Debian unstable (npm run setup:peers) instead of the installed
 * ones. `--again` runs the files of failed tests once more, each alone: a test that passes then is
 * listed as unsteady with its first failure, and counts as passed. `--clock +365d` runs them with a
 * shifted clock, another time zone and another locale, by Debian's `libfaketime`.
 */
import { existsSync } from 'node:fs';
import { runAva } from './lib/ava.mjs';
import { failureSummary, filesAgain } from './lib/failures.mjs';
import { root } from './lib/run.mjs';
import { skippedSummary, slowestFiles } from './lib/run-report.mjs';
import { bold, dim, red, say, yellow } from './lib/say.mjs';
import { setUp } from './lib/setup.mjs';
import { chooseFiles, compiledPath, minutesOf, testFiles, unitMinutes } from './lib/suites.mjs';

const flagsWithValue = new Set(['--match', '-m', '--timeout', '-T', '--node-arguments']);

/** Own options, flags for ava, and paths. */
function parseArguments(given) {
	const parsed = {
		node: process.execPath,
		quick: false,
		unit: false,
		again: false,
		peers: 'host',
		clock: undefined,
		flags: [],
		paths: [],
	};
	const rest = [...given];
	while (rest.length > 0) {
		const word = rest.shift();
		if (word === '--node') parsed.node = rest.shift() ?? parsed.node;
		else if (word === '--quick') parsed.quick = true;
		else if (word === '--unit') parsed.unit = true;
		else if (word === '--again') parsed.again = true;
		else if (word === '--peers') parsed.peers = rest.shift() ?? 'host';
		else if (word === '--clock') parsed.clock = rest.shift() ?? '';
		else if (flagsWithValue.has(word)) parsed.flags.push(word, rest.shift() ?? '');
		else if (word.startsWith('-')) parsed.flags.push(word);
		else parsed.paths.push(compiledPath(word));
	}
	return parsed;
}

const { node, quick, unit, again, flags, paths, peers, clock } = parseArguments(process.argv.slice(2));
if (peers === 'sid') process.env.BGPMESH_PEERS = 'sid';
else if (peers !== 'host') {
	say(red(`--peers takes host or sid, not ${peers}`));
	process.exit(2);
}
if (clock !== undefined && !/^[+-]\d+[dhm]$/.test(clock)) {
	say(red(`--clock takes a shift such as +365d, not ${clock}`));
	process.exit(2);
}
await setUp();
if (clock !== undefined) {
	const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
	if (!existsSync(library)) {
		say(red(`${library} is missing: apt-get install libfaketime`));
		process.exit(2);
	}
	// Only of the processes of tests, and not of those without the C library, such as kube-proxy.
	Object.assign(process.env, {
		LD_PRELOAD: library,
		FAKETIME: clock,
		FAKETIME_DONT_FAKE_MONOTONIC: '1',
		TZ: 'Pacific/Chatham',
		LC_ALL: 'de_DE.UTF-8',
	});
}

const total = { passed: 0, failed: 0, skipped: 0 };
const { together, serial } = chooseFiles(testFiles(), paths, { quick, unit });
const skippedTitles = [];
const times = [];
const failures = [];
const run = async (files, concurrency, mostMinutes) => {
	const counts = await runAva(files, { node, concurrency, flags, mostMinutes });
	skippedTitles.push(...counts.skippedTitles);
	times.push(...counts.times);
	failures.push(...counts.failures);
	for (const key of Object.keys(total)) total[key] += counts[key];
};
if (together.length > 0) {
	say(bold(`\ntests: ${together.length} files`));
	await run(together, 2, unitMinutes);
}
if (serial.length > 0) {
	say(bold(`\ntests with real daemons and kernels, one file at a time: ${serial.length} files`));
	// A separate runner for each: one that never ends is named, and does not affect the others.
	for (const [index, file] of serial.entries()) {
		say(dim(`  ${index + 1} of ${serial.length}`));
		await run([file], 1, minutesOf(file));
	}
}
const unsteady = [];
if (again && failures.length > 0) {
	const files = filesAgain(failures);
	if (files.length > 0) say(bold(`\nonce more, one file at a time: ${files.length} files with failures`));
	for (const file of files) {
		const counts = await runAva([file], { node, concurrency: 1, flags, mostMinutes: minutesOf(file) });
		if (counts.failed > 0) continue;
		const first = failures.filter((failure) => failure.file === file);
		unsteady.push(...first);
		total.passed += first.length;
		total.failed -= first.length;
	}
}
if (times.length > 1) say(`${bold('\nslowest files')}\n${slowestFiles(times, root).join('\n')}`);
if (skippedTitles.length > 0)
	say(`${bold(`\nskipped: ${skippedTitles.length} tests`)}\n${skippedSummary(skippedTitles).join('\n')}`);
if (unsteady.length > 0)
	say(
		`${bold(yellow(`\nunsteady: ${unsteady.length} tests failed, then passed alone`))}\n${failureSummary(unsteady).join('\n')}`,
	);
const lasting = failures.filter((failure) => !unsteady.includes(failure));
if (lasting.length > 0) say(`${bold(red(`\nfailed: ${lasting.length} tests`))}\n${failureSummary(lasting).join('\n')}`);
if (total.passed + total.failed === 0) say(red('no test ran'));
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
// Only the closing line is on standard output, and last.
process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
