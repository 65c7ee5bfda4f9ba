import test from 'ava';
import { Schema, validate } from '../../../src/apiserver/schema/index.ts';

test("the format of a number is not enforced: a 32-bit AS number fits into a definition's int32", (t) => {
	const schema = new Schema({
		type: 'object',
		properties: { asNumber: { type: 'integer', format: 'int32', minimum: 1 } },
	});
	t.deepEqual(validate(schema, { asNumber: 4200000000 }), []);
	t.is(validate(schema, { asNumber: 0 }).length, 1);
	t.is(validate(schema, { asNumber: 1.5 }).length, 1);
});
