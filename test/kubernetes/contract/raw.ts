import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestFn } from 'ava';
import { parseJson, stringifyJson } from '../../../src/json/index.ts';
import { scenarios } from './scenarios/index.ts';
import { type Exchange, play, type ServerUnderTest } from './transcript.ts';

/** The recorded responses of the real server are stored next to the sources. */
const golden = resolve(fileURLToPath(import.meta.url), '../../../../..', 'test/kubernetes/contract/golden');
const fileOf = (name: string): string => join(golden, `${name.replaceAll(' ', '-')}.ndjson`);

function recorded(name: string): Exchange[] {
	// `record` wrote the file.
	return readFileSync(fileOf(name), 'utf8')
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => parseJson(line) as unknown as Exchange);
}

function record(name: string, exchanges: readonly Exchange[]): void {
	writeFileSync(
		fileOf(name),
		`${exchanges.map((exchange) => stringifyJson({ ...exchange, warnings: exchange.warnings === undefined ? undefined : [...exchange.warnings] })).join('\n')}\n`,
	);
}

/**
 * Plays every scenario and compares each whole response with the recorded response of the real
 * kube-apiserver. `UPDATE_GOLDEN=1` records the responses of the real server again; ours are never
 * recorded.
 */
export function testRaw(test: TestFn, getServer: () => ServerUnderTest, authority: boolean): void {
	for (const [name, steps] of Object.entries(scenarios)) {
		test.serial(`answers as kube-apiserver does: ${name}`, async (t) => {
			const exchanges = await play(getServer(), steps);
			if (authority && process.env['UPDATE_GOLDEN'] === '1') record(name, exchanges);
			const expected = recorded(name);
			for (const [index, exchange] of exchanges.entries())
				t.deepEqual(exchange, expected[index], `${name}: ${exchange.title}`);
			t.is(exchanges.length, expected.length);
		});
	}
}
