import { mkdtempSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { ControlClient, ControlServer, CutOffError, type Handlers, type MetricsText } from '../../src/control/index.ts';
import { jsonPieces, ListedReader } from '../../src/control/json-text.ts';
import { Boundary, type RouteView, silentLogger, systemClock } from '../../src/core/index.ts';
import { eventually } from '../support/eventually.ts';

const row = (number: number) => ({ prefix: `10.0.0.${number}/32`, text: 'x'.repeat(200) }) as unknown as RouteView;

async function serve(t: ExecutionContext, routes: Handlers['routes'], metrics: MetricsText['text'] = []) {
	const socket = join(mkdtempSync(join(tmpdir(), 'bgpmesh-listing-')), 's');
	const boundary = new Boundary({ log: silentLogger, clock: systemClock });
	const server = new ControlServer({
		renderHealth: async () => ({ ok: true, text: '' }),
		socket,
		group: undefined,
		metrics: undefined,
		// The only handler that these tests need.
		handlers: { routes } as unknown as Handlers,
		renderMetrics: async () => ({ contentType: 'text/plain', text: metrics }),
		boundary,
	});
	await server.start();
	t.teardown(() => server.stop());
	return { socket, client: new ControlClient(socket), boundary };
}

const json = fc.jsonValue({ maxDepth: 4 });

test('a value in pieces is the same JSON', (t) => {
	fc.assert(
		fc.property(json, (value) => {
			const text = [...jsonPieces(value)].join('');
			t.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
		}),
	);
	t.is([...jsonPieces({ a: undefined, b: new Date(0), c: [] })].join(''), '{"b":"1970-01-01T00:00:00.000Z","c":[]}');
});

test('a listing reads the same as a whole and line by line, for any chunks', (t) => {
	fc.assert(
		fc.property(
			fc.record({ head: json, list: fc.array(json), tail: json }),
			fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
			(value, lengths) => {
				const text = `${[...jsonPieces(value, 'list')].join('')}\n`;
				const whole = JSON.parse(JSON.stringify(value)) as typeof value;
				t.deepEqual(JSON.parse(text), whole);
				const reader = new ListedReader();
				const parts = [];
				for (let at = 0, turn = 0; at < text.length; turn++) {
					const length = lengths[turn % lengths.length] ?? 1;
					parts.push(...reader.read(text.slice(at, at + length)));
					at += length;
				}
				t.deepEqual(
					parts.map((part) => ({ type: part.type, value: JSON.parse(part.text) })),
					[
						...whole.list.map((item) => ({ type: 'row', value: item })),
						{ type: 'rest', value: { ...whole, list: [] } },
					],
				);
			},
		),
	);
});

test('members after a list are read when the list has ended', async (t) => {
	let truncated = false;
	const { client } = await serve(t, () => ({
		routes: (function* () {
			yield* [row(1), undefined, row(2)];
			truncated = true;
		})(),
		get truncated() {
			return truncated;
		},
	}));
	const parts = [];
	for await (const part of client.list('routes', {})) parts.push(part);
	t.deepEqual(parts, [
		{ type: 'row', row: row(1) },
		{ type: 'row', row: row(2) },
		{ type: 'rest', rest: { routes: [], truncated: true } },
	]);
});

test('other work runs while a listing is produced, and two listings share one turn', async (t) => {
	let made = 0;
	let turns = 0;
	const routes = function* () {
		for (; made < 400; made++) {
			const until = performance.now() + 0.5;
			while (performance.now() < until);
			yield row(made);
		}
	};
	const { client } = await serve(t, () => ({ routes: routes(), truncated: false }));
	let counting = true;
	const count = () => {
		turns++;
		if (counting) setImmediate(count);
	};
	count();
	await Promise.all([client.ask('routes', {}), client.ask('routes', {})]);
	counting = false;
	// 200 ms of work in slices of 4 ms.
	t.true(turns >= 30, `${turns} turns`);
});

test('a reader that does not read pauses the production, and its disconnect ends it', async (t) => {
	let made = 0;
	let closed = false;
	const endless = function* () {
		try {
			for (;;) yield row(made++);
		} finally {
			closed = true;
		}
	};
	const { socket, boundary } = await serve(t, () => ({ routes: endless(), truncated: false }));
	const outgoing = request({ socketPath: socket, path: '/v1/routes', agent: false });
	outgoing.on('error', () => undefined);
	const response = await new Promise<import('node:http').IncomingMessage>((resolve) => {
		outgoing.once('response', resolve);
		outgoing.end();
	});
	response.on('error', () => undefined);
	const settled = async () => {
		for (let before = -1; before !== made; ) {
			before = made;
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	};
	await settled();
	// Socket buffers and one chunk: a few hundred kilobytes, for any length of the list.
	t.true(made < 20_000, `${made} rows`);
	t.false(closed);
	response.destroy();
	await eventually('the production ends', () => closed);
	t.deepEqual(
		[...boundary.caught.values()].filter((number) => number > 0),
		[],
		'a reader that leaves is no fault',
	);
});

test('a production that fails midway is counted, and the reader detects the truncated response', async (t) => {
	const { client, boundary } = await serve(t, () => ({
		routes: (function* () {
			for (let number = 0; number < 1000; number++) yield row(number);
			throw new TypeError('a fault in a table');
		})(),
		truncated: false,
	}));
	await t.throwsAsync(
		async () => {
			for await (const _ of client.list('routes', {}));
		},
		{ instanceOf: CutOffError },
	);
	t.is(boundary.caught.get('control'), 1);
});
