import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { pathAt, testedAge } from '../../lab/debian.ts';
import { hasDaemon } from './dut.ts';
import type { PeerKind } from './peers/index.ts';

export * from './interop-bench.ts';

/** The folder of results for `npm run docs:interop`. */
const resultsFolder = resolve(dirname(fileURLToPath(import.meta.url)), '../../interop');

/**
 * `test.serial` if our daemon and all the peers are installed, otherwise a skipped test with the
 * missing programs in its title.
 */
export function interopTest(
	title: string,
	kinds: readonly PeerKind[],
	body: (t: ExecutionContext) => Promise<void>,
): void {
	const missing = kinds
		.filter(({ files }) => !files.every((file) => existsSync(pathAt(testedAge, file))))
		.map(({ name }) => (testedAge === 'sid' ? `${name} of Debian unstable` : name));
	const reasons = [
		...missing.map((name) => `${name} is not installed`),
		...(process.getuid?.() === 0 ? [] : ['not root']),
		...(hasDaemon() ? [] : ['no daemon']),
	];
	if (reasons.length > 0) test.serial.skip(`${title} (skipped: ${reasons.join(', ')})`, body);
	else
		test.serial(title, async (t) => {
			t.timeout(300_000);
			await body(t);
		});
}

/** Records that a feature worked with a peer, for the table in docs/interop.md. */
export async function record(feature: string, kind: PeerKind, remark = ''): Promise<void> {
	mkdirSync(resultsFolder, { recursive: true });
	const file = join(resultsFolder, `${feature} ${kind.name} ${testedAge}.json`.replaceAll(/[^\w.]+/g, '-'));
	const version = await kind.version();
	writeFileSync(file, JSON.stringify({ feature, peer: kind.name, age: testedAge, version, remark }));
}
