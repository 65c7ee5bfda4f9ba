import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { configJsonSchema, configManual, configReference, loadConfig } from '../../src/config/index.ts';

test('every key has a meaning, the accepted values and the effect of a change', (t) => {
	const keys = configReference();
	t.true(keys.length > 100);
	for (const { key, description, expected, effect } of keys) {
		t.true(description.length > 2, key);
		t.true(expected.length > 2, key);
		t.true(['live', 'routes', 'reset', 'restart'].includes(effect), key);
	}
});

test('the JSON schema refuses unknown keys and contains the descriptions', (t) => {
	t.like(configJsonSchema(), {
		type: 'object',
		additionalProperties: false,
		properties: { node: { description: 'name of this node. Expected: a word without spaces.' } },
	});
});

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The file's content, regenerated first if requested. */
function kept(file: string, content: (before: string) => string): { readonly is: string; readonly shouldBe: string } {
	const path = join(root, file);
	const shouldBe = content(readFileSync(path, 'utf8'));
	if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, shouldBe);
	return { is: readFileSync(path, 'utf8'), shouldBe };
}

test('the JSON schema in config/ equals that of the code', (t) => {
	const { is, shouldBe } = kept(
		'config/bgpmeshd.schema.json',
		() => `${JSON.stringify(configJsonSchema(), null, '\t')}\n`,
	);
	t.is(is, shouldBe);
});

test('the manual has every key of the code', (t) => {
	const { is, shouldBe } = kept(
		'docs/reference/configuration.md',
		(before) => `${before.slice(0, before.indexOf('## Every key'))}## Every key\n\n${configManual()}`,
	);
	t.is(is, shouldBe);
});

for (const file of ['config/bgpmeshd.yaml', 'config/reflector.yaml']) {
	test(`the example ${file} is usable`, async (t) => {
		await t.notThrowsAsync(loadConfig(join(root, file)));
	});
}
