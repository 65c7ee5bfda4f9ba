import test from 'ava';
import { encodeOpenApiV2 } from '../../src/apiserver/api/openapi-binary.ts';

test('OpenAPI v2 in binary is the message Document: text and messages by field number, with lengths', (t) => {
	const document = {
		swagger: '2.0',
		info: { title: 't', version: 'v' },
		paths: {},
		definitions: { A: { type: 'object', 'x-b': [1] } },
	};
	const schema = [
		'b201 08 0a06 6f626a656374', // 22: a message with 1: "object"
		'fa01 0c 0a03 782d62 1205 1203 5b315d', // 31: 1: "x-b", 2: a message with 2: "[1]"
	].join('');
	const hex = [
		'0a03 322e30', // 1: "2.0"
		'1206 0a01 74 1201 76', // 2: 1: "t", 2: "v"
		'4200', // 8: no paths
		'4a21 0a1f 0a01 41 121a', // 9: 1: 1: "A", 2: the schema
		schema,
	].join('');
	const expected = hex.replaceAll(' ', '');
	t.is(Buffer.from(encodeOpenApiV2(document)).toString('hex'), expected);
});

test('lengths beyond 127 take two bytes', (t) => {
	const long = 'x'.repeat(300);
	const bytes = Buffer.from(encodeOpenApiV2({ swagger: long, info: {}, paths: {}, definitions: {} }));
	t.is(bytes.subarray(0, 3).toString('hex'), '0aac02');
	t.is(bytes.subarray(3, 303).toString(), long);
});
