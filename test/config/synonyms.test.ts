import test from 'ava';
import { configReference } from '../../src/config/index.ts';
import { ourNameOf, ourNames } from '../../src/config/synonyms.ts';

const keys = configReference().map(({ key }) => key.split('.').at(-1) ?? '');

for (const [theirs, ours] of Object.entries(ourNames)) {
	test(`${theirs} stands for existing keys and is none itself`, (t) => {
		for (const name of ours) t.true(keys.includes(name), name);
		t.false(keys.map((key) => key.toLowerCase()).includes(theirs));
	});
}

test('a name counts in any case, with hyphens and underscores, and only where its key can be', (t) => {
	t.is(ourNameOf('Remote-AS', keys), 'asNumber');
	t.is(ourNameOf('remote_as', ['peers']), undefined);
	t.is(ourNameOf('constructor', keys), undefined);
});
