import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { hasDaemon } from './dut.ts';
import type { PeerKind } from './peers/index.ts';

export * from './interop-bench.ts';

/** Where results lie for `npm run docs:interop`. */
const resultsFolder = resolve(dirname(fileURLToPath(import.meta.url)), '../../interop');

/** `test.serial` where our daemon and all the peers are installed, otherwise a test that is skipped, with what is missing in its title. */
export function interopTest(title: string, kinds: readonly PeerKind[], body: (t: ExecutionContext) => Promise<void>): void {
	const missing = kinds.filter(({ files }) => !files.every((file) => existsSync(file))).map(({ name }) => name);
	const reasons = [
		...missing.map((name) => `${name} is not installed`),
		...(process.getuid?.() === 0 ? [] : ['not root']),
		...(hasDaemon() ? [] : ['no daemon']),
	];
	if (reasons.length > 0) test.serial.skip(`${title} (skipped: ${reasons.join(', ')})`, body);
	else
		test.serial(title, async (t) => {
			t.timeout(180_000);
			await body(t);
		});
}

/** Writes down that a feature was seen working with a peer, for the table in docs/interop.md. */
export async function record(feature: string, kind: PeerKind, remark = ''): Promise<void> {
	mkdirSync(resultsFolder, { recursive: true });
	const file = join(resultsFolder, `${feature} ${kind.name}.json`.replaceAll(/[^\w.]+/g, '-'));
	writeFileSync(file, JSON.stringify({ feature, peer: kind.name, version: await kind.version(), remark }));
}
