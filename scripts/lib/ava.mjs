import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileOf } from './failures.mjs';
import { root } from './run.mjs';
import { progressLine, readTimes } from './run-report.mjs';
import { dim, green, red, say, yellow } from './say.mjs';
import { TapReader } from './tap.mjs';

const progressMs = 10_000;
const killAfterMs = 10_000;

/**
 * Runs ava on `files` with the Node.js binary `node`. Failures are shown at once, progress every 10
 * s. The run is stopped after `mostMinutes`, which is a failure, as is a crashed runner. Returns `{
 * passed, failed, skipped, failures: [{ title, detail, file }], skippedTitles, times }`; the file of
 * a failure is undefined where the run itself failed.
 */
export async function runAva(files, { node = process.execPath, concurrency, flags = [], mostMinutes }) {
	const started = performance.now();
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-test-times-'));
	const timesFile = join(folder, 'times');
	const times = () => {
		try {
			return readTimes(readFileSync(timesFile, 'utf8'));
		} catch {
			// No file has ended yet.
			return [];
		}
	};
	let finished = 0;
	const failures = [];
	const skippedTitles = [];
	const reader = new TapReader(({ outcome, title, detail }) => {
		finished++;
		if (outcome === 'failed') {
			failures.push({ title, detail, file: fileOf(title, files) });
			say(`${red('✗')} ${title}\n${detail.join('\n')}`);
		}
		if (outcome === 'skipped' || outcome === 'todo') skippedTitles.push(title);
	});
	const ava = join(root, 'node_modules/ava/entrypoints/cli.mjs');
	const child = spawn(node, [ava, '--tap', `--concurrency=${concurrency}`, ...flags, ...files], {
		cwd: root,
		stdio: ['ignore', 'pipe', 2],
		env: { ...process.env, BGPMESH_TEST_TIMES: timesFile },
	});
	const seconds = () => (performance.now() - started) / 1000;
	const progress = setInterval(() => {
		const line = {
			files: times().length,
			total: files.length,
			tests: finished,
			failed: failures.length,
			seconds: seconds(),
		};
		say(dim(`  ${progressLine(line)}`));
	}, progressMs);
	let late = false;
	const bound = setTimeout(() => {
		late = true;
		child.kill('SIGTERM');
		setTimeout(() => child.kill('SIGKILL'), killAfterMs).unref();
	}, mostMinutes * 60_000);
	const passOn = (signal) => child.kill(signal);
	process.on('SIGTERM', passOn);
	child.stdout.setEncoding('utf8').on('data', (text) => reader.push(text));
	const status = await new Promise((done) => {
		child.on('error', () => done(127));
		child.on('close', (code) => done(code ?? 128));
	});
	process.off('SIGTERM', passOn);
	clearInterval(progress);
	clearTimeout(bound);
	reader.end();
	if (late || !reader.ended || (status !== 0 && reader.failed === 0)) {
		reader.failed++;
		const why = late
			? `was ended after its ${mostMinutes} minutes`
			: `ended early (status ${status}); a test file that never ends does this`;
		const title = `the run of ${named(files)} ${why}; ${finished} tests had ended`;
		failures.push({ title, detail: [], file: undefined });
		say(`${red('✗')} ${title}`);
	}
	const measured = times();
	rmSync(folder, { recursive: true, force: true });
	const skippedPart = reader.skipped > 0 ? `, ${yellow(`${reader.skipped} skipped`)}` : '';
	const mark = reader.failed === 0 ? green('✓') : red('✗');
	say(`${mark} ${named(files)}, ${finished} tests${skippedPart} in ${Math.round(seconds())} s`);
	const { passed, failed, skipped } = reader;
	return { passed, failed, skipped, failures, skippedTitles, times: measured };
}

/** One file by its name, several by their number. */
const named = (files) =>
	files.length === 1 ? files[0].replace(/^dist\//, '').replace(/\.js$/, '.ts') : `${files.length} files`;
