import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { encode, type Wishes } from '../../../src/apiserver/http/encode.ts';

const wishes: Wishes = {
	method: 'GET',
	accept: '',
	acceptEncoding: '',
	userAgent: 'kubectl/v1.34.4',
	pretty: undefined,
};
const json = '{"b":{"n":9223372036854775807},"a":[1,"x"]}';
const large = JSON.stringify({ data: 'x'.repeat(128 * 1024) });
const textOf = async (wish: Partial<Wishes>) =>
	Buffer.from((await encode(json, { ...wishes, ...wish })).bytes).toString();

const rows = [
	{ title: 'a program gets compact JSON', wish: {}, text: `${json}\n` },
	{
		title: 'curl gets indented JSON',
		wish: { userAgent: 'curl/8.0' },
		text: '{\n  "b": {\n    "n": 9223372036854775807\n  },\n  "a": [\n    1,\n    "x"\n  ]\n}\n',
	},
	{ title: 'curl can request compact JSON', wish: { userAgent: 'curl/8.0', pretty: 'false' }, text: `${json}\n` },
	{
		title: 'a program can request indented JSON',
		wish: { pretty: 'true' },
		text: '{\n  "b": {\n    "n": 9223372036854775807\n  },\n  "a": [\n    1,\n    "x"\n  ]\n}\n',
	},
	{
		title: 'YAML if preferred, with all digits',
		wish: { accept: 'application/yaml, application/json' },
		text: 'a:\n- 1\n- x\nb:\n  n: 9223372036854775807\n',
	},
	{ title: 'JSON if preferred', wish: { accept: 'application/json, application/yaml' }, text: `${json}\n` },
] as const;
for (const { title, wish, text } of rows) test(title, async (t) => t.is(await textOf(wish), text));

test('a large response is compressed for clients that accept gzip', async (t) => {
	const packed = await encode(large, { ...wishes, acceptEncoding: 'deflate, gzip;q=0.5' });
	t.true(packed.compressed);
	t.is(gunzipSync(packed.bytes).toString(), `${large}\n`);
	for (const acceptEncoding of ['', 'br', 'gzip;q=0', 'xgzip'])
		t.false((await encode(large, { ...wishes, acceptEncoding })).compressed, acceptEncoding);
	t.false((await encode(json, { ...wishes, acceptEncoding: 'gzip' })).compressed);
	t.false((await encode(large, { ...wishes, method: 'POST', acceptEncoding: 'gzip' })).compressed);
});
