import { ControlError, type Endpoint, type EndpointName, endpoints, type Parameters } from './api.ts';

/** An endpoint that a request was meant for, and its path parameters. */
export interface Match {
	readonly name: EndpointName;
	readonly endpoint: Endpoint;
	readonly path: Readonly<Record<string, string>>;
}

const table = Object.entries(endpoints).map(([name, endpoint]) => ({
	// Object.entries forgets the keys' type.
	name: name as EndpointName,
	endpoint: endpoint as Endpoint,
	parts: endpoint.path.split('/'),
}));

/** What a request line asks for. */
export interface Target {
	readonly pathname: string;
	readonly query: URLSearchParams;
}

/**
 * The request target: `/path?query`, or the absolute form that proxies use (RFC 9112 §3.2). Nothing
 * is resolved or normalised, and any bytes give a target or a refusal. @throws ControlError 400
 */
export function parseTarget(text: string): Target {
	const [, path = '', query = ''] = /^(?:https?:\/\/[^/?#[\]]+(?=[/?]))?(\/[^?#]*)(?:\?([^#]*))?$/i.exec(text) ?? [];
	if (path === '' || path.startsWith('//'))
		throw new ControlError(400, 'bad-request', `${JSON.stringify(text.slice(0, 100))} is no path`, 'try /v1/status');
	return { pathname: path, query: new URLSearchParams(query) };
}

/** Finds the row for a method and a path. @throws ControlError 404 or 405 */
export function match(method: string, pathname: string): Match {
	const parts = pathname.split('/');
	const rows = table.flatMap(({ name, endpoint, parts: pattern }) => {
		const path = pathParameters(pattern, parts);
		return path === undefined ? [] : [{ name, endpoint, path }];
	});
	const [first] = rows;
	if (first === undefined)
		throw new ControlError(
			404,
			'no-such-endpoint',
			`there is nothing at ${pathname}`,
			'docs/reference/control-api.md lists what there is',
		);
	const row = rows.find(({ endpoint }) => endpoint.method === method);
	if (row === undefined)
		throw new ControlError(405, 'method-not-allowed', `${pathname} takes ${first.endpoint.method}, not ${method}`);
	return row;
}

function pathParameters(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
	if (pattern.length !== parts.length) return undefined;
	const path: Record<string, string> = {};
	for (const [index, wanted] of pattern.entries()) {
		const part = parts[index] ?? '';
		if (wanted.startsWith(':')) {
			if (part === '') return undefined;
			path[wanted.slice(1)] = decode(part);
		} else if (wanted !== part) return undefined;
	}
	return path;
}

function decode(part: string): string {
	try {
		return decodeURIComponent(part);
	} catch {
		throw new ControlError(400, 'bad-request', `'${part}' is not percent-encoded`);
	}
}

/**
 * The parameters of a query, as the row declares them. @throws ControlError 400 for an unknown one
 * or a wrong value
 */
export function parseQuery(parameters: Parameters, query: URLSearchParams): Record<string, unknown> {
	return checked(parameters, [...query], (type, text) => {
		if (type === 'number') return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
		if (type === 'flag') return text === '' || text === 'true' ? true : text === 'false' ? false : undefined;
		return type === 'text' ? text : undefined;
	});
}

/** The parameters of a JSON body, as the row declares them. @throws ControlError 400 */
export function parseBody(parameters: Parameters, body: string): Record<string, unknown> {
	if (body === '') return {};
	let value: unknown;
	try {
		value = JSON.parse(body);
	} catch (error) {
		throw new ControlError(
			400,
			'bad-request',
			`the body is not JSON: ${error instanceof Error ? error.message : String(error)}`,
		);
	}
	if (typeof value !== 'object' || value === null || Array.isArray(value))
		throw new ControlError(400, 'bad-request', 'the body is not a JSON object');
	return checked(parameters, Object.entries(value), (type, given) => {
		const kinds = { number: 'number', flag: 'boolean', text: 'string' };
		return type === 'json' || typeof given === kinds[type] ? given : undefined;
	});
}

const wanted = { text: 'text', number: 'a whole number', flag: 'true or false', json: 'JSON' };

function checked<V>(
	parameters: Parameters,
	given: readonly (readonly [string, V])[],
	read: (type: Parameters[string], value: V) => unknown,
): Record<string, unknown> {
	const values: Record<string, unknown> = {};
	for (const [name, value] of given) {
		const type = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
		if (type === undefined)
			throw new ControlError(
				400,
				'bad-request',
				`unknown parameter '${name}'`,
				`known: ${Object.keys(parameters).join(', ') || 'none'}`,
			);
		const parsed = read(type, value);
		if (parsed === undefined)
			throw new ControlError(400, 'bad-request', `'${name}' is ${JSON.stringify(value)}, expected ${wanted[type]}`);
		values[name] = parsed;
	}
	return values;
}
