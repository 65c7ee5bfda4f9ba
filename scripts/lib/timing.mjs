/**
 * Loaded by ava in each test process (`require` in package.json): at its end it appends the file
 * and its duration to the file that `BGPMESH_TEST_TIMES` names, as one JSON line. Without that
 * variable it does nothing.
 */
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const times = process.env.BGPMESH_TEST_TIMES;
if (times !== undefined) {
	const file = fileURLToPath(test.meta.file);
	process.once('exit', () => {
		try {
			appendFileSync(times, `${JSON.stringify({ file, seconds: performance.now() / 1000 })}\n`);
		} catch {
			// The runner has exited, and its folder is removed.
		}
	});
}
