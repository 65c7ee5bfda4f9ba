import test from 'ava';
import fc from 'fast-check';
import { AddressError, formatAddress, parseAddress } from '../../src/core/index.ts';

const octet = '(0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])';
const dottedQuad = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}$`);

const parses = (text: string): boolean => {
	try {
		return parseAddress(text).family === 'ipv4';
	} catch (error) {
		if (error instanceof AddressError) return false;
		throw error;
	}
};

test('four bytes are restored from their dotted quad', (t) => {
	fc.assert(
		fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
			t.deepEqual(parseAddress(formatAddress(bytes)), { family: 'ipv4', bytes });
		}),
	);
});

// Decisive parts and characters, so that texts which are nearly addresses are frequent.
const nearly = fc
	.array(
		fc.oneof(
			fc.constantFrom(
				'0',
				'00',
				'01',
				'1',
				'10',
				'99',
				'255',
				'256',
				'300',
				'1000',
				'',
				' ',
				'-1',
				'+1',
				'a',
				'１',
				'/',
			),
			fc.nat(260).map(String),
		),
		{ minLength: 3, maxLength: 5 },
	)
	.map((parts) => parts.join('.'));

test('a text is an IPv4 address exactly if it is a dotted quad without leading zeros', (t) => {
	fc.assert(
		fc.property(fc.oneof(nearly, fc.string()), (text) => {
			if (!text.includes(':')) t.is(parses(text), dottedQuad.test(text), text);
		}),
		{ numRuns: 2000 },
	);
});
