import test from 'ava';

import {
	CeaseSubcode,
	ErrorCode,
	encodeMaximumPrefixes,
	encodeShutdownText,
	escapeText,
	hardReset,
	hardResetReason,
	maximumPrefixes,
	notificationMessage,
	PacketError,
	type ShutdownText,
	shutdownText,
} from '../src/index.ts';
import { bytes, hex } from './support.ts';

const cease = (subcode: number, data = '') =>
	notificationMessage({ code: ErrorCode.cease, subcode, data: bytes(data) });

test('[C77] [C79] the subcodes of Cease are those of their RFCs', (t) => {
	t.deepEqual(Object.values(CeaseSubcode), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('[C78] the data of Cease 1 names family and limit', (t) => {
	const limit = { afi: 2, safi: 1, limit: 4_000_000_000 };
	t.is(hex(encodeMaximumPrefixes(limit)), '000201ee6b2800');
	t.deepEqual(maximumPrefixes(cease(1, '000201ee6b2800')), limit);
	t.is(maximumPrefixes(cease(1)), undefined);
	t.is(maximumPrefixes(cease(1, '0002')), undefined);
	t.is(maximumPrefixes(cease(2, '000201ee6b2800')), undefined);
});

const texts: readonly { title: string; subcode?: number; data: string; text: ShutdownText | undefined }[] = [
	{ title: '[C80] a text with a shutdown', data: '05 68656c6c6f', text: { type: 'text', text: 'hello' } },
	{ title: '[C80] a text with a reset', subcode: 4, data: '05 68656c6c6f', text: { type: 'text', text: 'hello' } },
	{ title: '[C80] an empty text', data: '00', text: { type: 'text', text: '' } },
	{ title: '[C80] no data', data: '', text: undefined },
	{ title: '[C80] data of another Cease', subcode: 3, data: '05 68656c6c6f', text: undefined },
	{ title: '[C80] letters of two bytes', data: '02 c3a9', text: { type: 'text', text: 'é' } },
	{
		title: '[C81] a length that does not fit',
		data: '06 68656c6c6f',
		text: { type: 'invalid', bytes: bytes('06 68656c6c6f') },
	},
	{ title: '[C81] bad UTF-8', data: '02 c328', text: { type: 'invalid', bytes: bytes('02 c328') } },
	{ title: '[C81] an overlong encoding', data: '02 c0af', text: { type: 'invalid', bytes: bytes('02 c0af') } },
	{ title: '[C82] 255 octets', data: `ff ${'61'.repeat(255)}`, text: { type: 'text', text: 'a'.repeat(255) } },
];
for (const { title, subcode = 2, data, text } of texts)
	test(`${title} is read`, (t) => t.deepEqual(shutdownText(cease(subcode, data)), text));

test('[C82] a text is sent with up to 255 octets, 128 to old speakers, and never cut inside a letter', (t) => {
	t.is(hex(encodeShutdownText('hello')), '0568656c6c6f');
	t.is(encodeShutdownText('a'.repeat(300)).length, 256);
	t.is(encodeShutdownText('a'.repeat(300), 128).length, 129);
	const letters = encodeShutdownText('é'.repeat(200), 127);
	t.is(letters[0], 126);
	t.is(letters.length, 127);
});

test('[C81] a text is escaped before it is shown', (t) => {
	t.is(escapeText('maintenance, back at 10:00 – é'), 'maintenance, back at 10:00 – é');
	t.is(escapeText('a\u001b[31mred\r\nb\u0000'), 'a\\u{1b}[31mred\\u{d}\\u{a}b\\u{0}');
	t.is(escapeText('right\u202eleft\u2028'), 'right\\u{202e}left\\u{2028}');
	t.is(escapeText('back\\slash'), 'back\\\\slash');
});

test('[C213] a hard reset carries the real reason, and gives it back', (t) => {
	const reason = cease(2, '05 68656c6c6f');
	const reset = hardReset(reason);
	t.deepEqual([reset.code, reset.subcode, hex(reset.data)], [6, 9, '06020568656c6c6f']);
	t.deepEqual(hardResetReason(reset), reason);
	t.is(hardResetReason(reason), undefined);
	t.is(hardResetReason(cease(9)), undefined);
	t.is(hardResetReason(cease(9, '06')), undefined);
});

test('an error becomes the NOTIFICATION that it deserves', (t) => {
	const error = new PacketError('openMessage', 1, 'version 3', { data: bytes('0004') });
	t.deepEqual(notificationMessage(error), { type: 'notification', code: 2, subcode: 1, data: bytes('0004') });
});
