import { X509Certificate } from 'node:crypto';
import test from 'ava';
import { parseTokenFile, selfSigned, TokenFileError } from '../../../src/apiserver/index.ts';

test('a token file names users and their groups', (t) => {
	t.deepEqual(parseTokenFile('# people\n\nabc,jane,7,"system:masters,others"\ndef, joe ,8\n'), [
		{ token: 'abc', name: 'jane', uid: '7', groups: ['system:masters', 'others'] },
		{ token: 'def', name: 'joe', uid: '8', groups: [] },
	]);
	t.like(
		t.throws(() => parseTokenFile('abc,jane,7\nnonsense\n'), { instanceOf: TokenFileError }),
		{ line: 2 },
	);
});

test('a generated certificate is valid for its names and self-signed', (t) => {
	const certificate = new X509Certificate(
		selfSigned('test', ['localhost', '127.0.0.1', '::1'], Date.UTC(2026, 0, 1)).cert,
	);
	t.is(certificate.checkHost('localhost'), 'localhost');
	t.is(certificate.checkHost('example.com'), undefined);
	t.is(certificate.checkIP('127.0.0.1'), '127.0.0.1');
	t.is(certificate.checkIP('::1'), '::1');
	t.is(certificate.checkIP('127.0.0.2'), undefined);
	t.true(certificate.verify(certificate.publicKey));
	// A client's clock may be years off.
	t.is(new Date(certificate.validFrom).getUTCFullYear(), 2016);
	t.is(new Date(certificate.validTo).getUTCFullYear(), 2035);
});
