import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from './run.mjs';
import { dim, green, red, say, yellow } from './say.mjs';
import { TapReader } from './tap.mjs';

/**
 * Runs ava on `files` with the Node.js binary `node` and tells failures and skips as they come, and progress now and then. Gives
 * `{ passed, failed, skipped }`; a runner that dies counts as a failure, whatever it had printed.
 */
export async function runAva(files, { node = process.execPath, concurrency, flags = [] }) {
	const started = performance.now();
	let finished = 0;
	let told = started;
	const reader = new TapReader(({ outcome, title, detail }) => {
		finished++;
		if (outcome === 'failed') say(`${red('✗')} ${title}\n${detail.join('\n')}`);
		if (outcome === 'skipped' || outcome === 'todo') say(`${yellow('-')} ${dim(outcome)} ${title}${detail.length > 0 ? `\n${detail.join('\n')}` : ''}`);
		if (performance.now() - told < 10_000) return;
		told = performance.now();
		say(dim(`  ${finished} tests after ${Math.round((told - started) / 1000)} s`));
	});
	const ava = join(root, 'node_modules/ava/entrypoints/cli.mjs');
	const child = spawn(node, [ava, '--tap', `--concurrency=${concurrency}`, ...flags, ...files], { cwd: root, stdio: ['ignore', 'pipe', 2] });
	const passOn = (signal) => child.kill(signal);
	process.on('SIGTERM', passOn);
	child.stdout.setEncoding('utf8').on('data', (text) => reader.push(text));
	const status = await new Promise((done) => {
		child.on('error', () => done(127));
		child.on('close', (code) => done(code ?? 128));
	});
	process.off('SIGTERM', passOn);
	reader.end();
	if (!reader.ended || (status !== 0 && reader.failed === 0)) {
		reader.failed++;
		say(`${red('✗')} the test runner ended early (status ${status}) after ${finished} tests of ${named(files)}; a test file that never ends does this`);
	}
	const seconds = Math.round((performance.now() - started) / 1000);
	say(`${reader.failed === 0 ? green('✓') : red('✗')} ${named(files)}, ${finished} tests in ${seconds} s`);
	return { passed: reader.passed, failed: reader.failed, skipped: reader.skipped };
}

/** One file by its name, several by their number. */
const named = (files) => (files.length === 1 ? files[0].replace(/^dist\//, '').replace(/\.js$/, '.ts') : `${files.length} files`);
