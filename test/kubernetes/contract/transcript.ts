import { request as httpsRequest } from 'node:https';
import {
	isArray,
	isObject,
	type JsonObject,
	type JsonValue,
	parseJson,
	stringifyJson,
} from '../../../src/json/index.ts';

/** A server under contract: the embedded one or Kubernetes' own. */
export interface ServerUnderTest {
	readonly url: string;
	readonly certificateAuthority: string;
	/** Token of a member of system:masters. */
	readonly token: string;
	/** Token of a user without any role. */
	readonly strangerToken: string;
	/** Token of the service account of nodes, where authorization is enforced. */
	readonly nodeToken?: string;
	stop(): Promise<void>;
}

/**
 * One request of a scenario. `{{name}}` in path and body stands for what an earlier step captured.
 */
export interface Step {
	readonly title: string;
	readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
	readonly path: string;
	/** An object is sent as JSON, text unchanged. */
	readonly body?: JsonValue;
	readonly contentType?: string;
	readonly accept?: string;
	/** `null`: none. */
	readonly token?: 'admin' | 'stranger' | 'wrong' | null;
	/** Reads this many lines of a watch, then disconnects. */
	readonly lines?: number;
	/** Names for parts of the response, each a path into its JSON. */
	readonly capture?: Readonly<Record<string, string>>;
	/** Compares only these parts, each a path; by default the whole response. */
	readonly only?: readonly string[];
	/** Repeats the request until the response has this code: for delayed actions of the server. */
	readonly until?: number;
}

/** The response, normalized so that runs are comparable. */
export interface Exchange {
	readonly title: string;
	readonly code: number;
	readonly body: JsonValue;
	readonly warnings?: readonly string[];
}

interface Reply {
	readonly code: number;
	readonly text: string;
	readonly warnings: readonly string[];
}

/** Sends one request. */
export function ask(server: ServerUnderTest, step: Omit<Step, 'title'>): Promise<Reply> {
	const token = { admin: server.token, stranger: server.strangerToken, wrong: 'not-a-token' }[step.token ?? 'admin'];
	const body =
		step.body === undefined
			? undefined
			: Buffer.from(typeof step.body === 'string' ? step.body : stringifyJson(step.body));
	const headers: Record<string, string> = {
		'user-agent': 'contract/1',
		accept: step.accept ?? 'application/json',
		...(step.token === null ? {} : { authorization: `Bearer ${token}` }),
		...(body === undefined
			? {}
			: { 'content-type': step.contentType ?? 'application/json', 'content-length': String(body.length) }),
	};
	return new Promise((resolve, reject) => {
		const request = httpsRequest(
			`${server.url}${step.path}`,
			{ method: step.method ?? 'GET', headers, ca: server.certificateAuthority, agent: false },
			(response) => {
				const warnings = String(response.headers.warning ?? '');
				let text = '';
				const finish = () =>
					resolve({
						code: response.statusCode ?? 0,
						text,
						warnings:
							warnings === ''
								? []
								: [...warnings.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(([, warning = '']) => warning),
					});
				response.setEncoding('utf8');
				response.on('data', (chunk: string) => {
					text += chunk;
					if (step.lines === undefined || text.split('\n').length - 1 < step.lines) return;
					text = text.split('\n').slice(0, step.lines).join('\n');
					finish();
					request.destroy();
				});
				response.on('end', finish);
				// A watch with fewer lines than expected: the received lines are compared.
				const late = setTimeout(() => {
					finish();
					request.destroy();
				}, 8000);
				response.on('close', () => clearTimeout(late));
			},
		);
		// A server that rejects a large body may close the connection before the body was sent.
		request.on('error', (error) => reject(error));
		request.end(body);
	});
}

/** Runs the steps one after another. */
export async function play(server: ServerUnderTest, steps: readonly Step[]): Promise<Exchange[]> {
	const captured = new Map<string, string>();
	const names = new Map<string, string>();
	const exchanges: Exchange[] = [];
	for (const step of steps) {
		const filled = {
			...step,
			path: fill(step.path, captured),
			...(step.body === undefined ? {} : { body: fillBody(step.body, captured) }),
		};
		let reply = await ask(server, filled);
		for (let attempt = 0; step.until !== undefined && reply.code !== step.until && attempt < 100; attempt++) {
			await new Promise((resolve) => setTimeout(resolve, 100));
			reply = await ask(server, filled);
		}
		const body = parsed(reply.text, step.lines !== undefined);
		for (const [name, path] of Object.entries(step.capture ?? {})) captured.set(name, String(pick(body, path) ?? ''));
		const comparable = normalize(
			step.only === undefined ? body : Object.fromEntries(step.only.map((path) => [path, pick(body, path) ?? null])),
			names,
		);
		exchanges.push({
			title: step.title,
			code: reply.code,
			body: comparable,
			...(reply.warnings.length === 0 ? {} : { warnings: reply.warnings }),
		});
	}
	return exchanges;
}

const fill = (text: string, captured: ReadonlyMap<string, string>): string =>
	text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => captured.get(name) ?? '');

function fillBody(body: JsonValue, captured: ReadonlyMap<string, string>): JsonValue {
	return typeof body === 'string' ? fill(body, captured) : parseJson(fill(stringifyJson(body), captured));
}

function parsed(text: string, lines: boolean): JsonValue {
	try {
		if (lines)
			return text
				.split('\n')
				.filter((line) => line !== '')
				.map(parseJson);
		return text === '' ? null : parseJson(text);
	} catch {
		return text;
	}
}

function pick(body: JsonValue, path: string): JsonValue | undefined {
	let current: JsonValue | undefined = body;
	for (const step of path.split('.')) {
		if (isArray(current)) current = current[Number(step)];
		else if (isObject(current)) current = current[step];
		else return undefined;
	}
	return current;
}

/**
 * Values that differ between runs get the same name at each occurrence: versions, identities,
 * times.
 */
function normalize(value: JsonValue, names: Map<string, string>, key = '', inList = false): JsonValue {
	if (isArray(value)) {
		const items = value.map((item) => normalize(item, names, key));
		// They are ordered by their times, which have whole seconds: the order would depend on the
		// start of a second.
		return key === 'managedFields' ? items.sort((left, right) => (writerOf(left) < writerOf(right) ? -1 : 1)) : items;
	}
	if (isObject(value)) {
		const list = isArray(value['items']) || isArray(value['rows']);
		return Object.fromEntries(
			Object.entries(value).map(([name, member]) => [
				name,
				normalize(member ?? null, names, name.split('.').at(-1), key === 'metadata' ? inList : list),
			]),
		);
	}
	if (typeof value !== 'string') return value;
	if (key === 'resourceVersion') return inList ? '<list version>' : named('version', value, names);
	if (key === 'continue') return '<token>';
	if (key === 'clusterIP' || key === 'clusterIPs') return '<address>';
	return value
		.replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, (uid) => named('uid', uid, names))
		.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, '<time>')
		.replaceAll(/^\d+s$/g, '<age>')
		.replaceAll(/(current: |too old resource version: )\d+( \(\d+\))?/g, '$1<version>');
}

/** The fields that are unique to each entry of managed fields. */
const writerOf = (entry: JsonValue): string =>
	['manager', 'operation', 'apiVersion', 'subresource'].map((name) => String(pick(entry, name) ?? '')).join(' ');

function named(kind: string, value: string, names: Map<string, string>): string {
	const name =
		names.get(value) ?? `<${kind} ${[...names.values()].filter((other) => other.startsWith(`<${kind} `)).length + 1}>`;
	names.set(value, name);
	return name;
}

/** A body as an object, for tests that inspect it. */
export function objectOf(reply: Reply): JsonObject {
	const value = parsed(reply.text, false);
	if (!isObject(value)) throw new Error(`not an object: ${reply.text.slice(0, 200)}`);
	return value;
}
