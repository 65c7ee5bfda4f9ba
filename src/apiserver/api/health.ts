import type { Answer, Api, Request } from './types.ts';

const contentType = 'text/plain; charset=utf-8';

interface Check {
	readonly name: string;
	readonly well: boolean;
}

/** The checks of a page. `etcd` is the store, under the name that clients expect. */
function checksOf({ store }: Pick<Api, 'store'>, page: string): Check[] {
	const always = [
		{ name: 'ping', well: true },
		{ name: 'log', well: true },
		{ name: 'etcd', well: !store.failed },
	];
	return page === 'readyz' ? [...always, { name: 'shutdown', well: true }] : always;
}

/** `/healthz`, `/livez` and `/readyz`, all checks or one of them; 500 if a check fails. */
export function health(
	api: Pick<Api, 'store'>,
	{ query }: Pick<Request, 'query'>,
	[page = '', ...rest]: readonly string[],
): Answer {
	const checks = checksOf(api, page);
	const one = rest.join('/');
	if (one !== '') {
		const found = checks.find(({ name }) => name === one);
		if (found === undefined) return { code: 404, text: '404 page not found\n', contentType };
		return found.well
			? { code: 200, text: 'ok', contentType }
			: { code: 500, text: 'internal server error: reason withheld\n', contentType };
	}
	const excluded = new Set(query.getAll('exclude'));
	const failing = checks.some(({ name, well }) => !well && !excluded.has(name));
	const lines = checks.map(({ name, well }) =>
		excluded.has(name) ? `[+]${name} excluded: ok` : well ? `[+]${name} ok` : `[-]${name} failed: reason withheld`,
	);
	const unknown = [...excluded]
		.filter((name) => checks.every((check) => check.name !== name))
		.map((name) => JSON.stringify(name));
	const warning =
		unknown.length === 0 ? [] : [`warn: some health checks cannot be excluded: no matches for ${unknown.join(',')}`];
	if (failing)
		return { code: 500, text: `${[...lines, ...warning, `${page} check failed`].join('\n')}\n`, contentType };
	return {
		code: 200,
		text: query.has('verbose') ? `${[...lines, ...warning, `${page} check passed`].join('\n')}\n` : 'ok',
		contentType,
	};
}
