import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiError, isAdministrator, type Request, type User, unauthorized } from '../api/index.ts';

/** The user of a token. */
export interface TokenUser extends User {
	readonly token: string;
}

/** A line of a token file that does not have the form `TOKEN,USER,UID[,"GROUP,GROUP"]`. */
export class TokenFileError extends Error {
	override readonly name = 'TokenFileError';
	readonly line: number;

	constructor(line: number) {
		super(`line ${line} is not TOKEN,USER,UID[,"GROUP,GROUP"]`);
		this.line = line;
	}
}

/**
 * Parses a token file as kube-apiserver does: CSV, without `#` comments and empty lines. @throws
 * TokenFileError
 */
export function parseTokenFile(text: string): TokenUser[] {
	return text.split('\n').flatMap((line, index) => {
		if (line.trim() === '' || line.startsWith('#')) return [];
		const fields = [...line.trim().matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, bare]) =>
			(quoted ?? bare ?? '').trim(),
		);
		const [token = '', name = '', uid = '', groups = ''] = fields;
		if (token === '' || name === '' || fields.length < 3) throw new TokenFileError(index + 1);
		return [
			{
				token,
				name,
				uid,
				groups: groups
					.split(',')
					.map((group) => group.trim())
					.filter((group) => group !== ''),
			},
		];
	});
}

const anonymous: User = { name: 'system:anonymous', uid: '', groups: ['system:unauthenticated'] };

/** Authenticates requests by bearer token. */
export class Authenticator {
	readonly #users: readonly { readonly digest: Buffer; readonly user: User }[];

	constructor(users: readonly TokenUser[]) {
		this.#users = users.map(({ token, name, uid, groups }) => ({
			digest: digest(token),
			user: { name, uid, groups: [...groups, 'system:authenticated'] },
		}));
	}

	/** An anonymous user without a token; an unknown token is rejected. @throws ApiError 401 */
	identify(authorization: string | undefined): User {
		const token = /^bearer (.+)$/i.exec(authorization ?? '')?.[1];
		if (token === undefined) return anonymous;
		const given = digest(token.trim());
		// Compares all tokens, in constant time.
		const matches = this.#users.filter((candidate) => timingSafeEqual(candidate.digest, given));
		const [found] = matches;
		if (found === undefined) throw unauthorized();
		return found.user;
	}
}

const digest = (token: string): Buffer => createHash('sha256').update(token).digest();

const openToAll = new Set(['healthz', 'livez', 'readyz', 'version']);
const openToKnown = new Set(['healthz', 'livez', 'readyz', 'version', 'openapi']);

/**
 * Administrators have all permissions; other users may read discovery, version and their own
 * permissions. @throws ApiError 403
 */
export function authorize({ method, path, user, query }: Request): void {
	if (isAdministrator(user)) return;
	const [root = ''] = path;
	const looking = method === 'GET' || method === 'HEAD';
	const known = !user.groups.includes('system:unauthenticated');
	if (looking && (openToAll.has(root) || (known && (openToKnown.has(root) || isDiscovery(path))))) return;
	if (
		known &&
		method === 'POST' &&
		/^apis\/(authentication|authorization)\.k8s\.io\/v1\/selfsubject/.test(path.join('/'))
	)
		return;
	throw refusal(method, path, user, query);
}

const isDiscovery = ([root, ...rest]: readonly string[]): boolean =>
	(root === 'api' && rest.length < 2) || (root === 'apis' && rest.length < 3);

const verbs: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

function refusal(method: string, path: readonly string[], user: User, query: URLSearchParams): ApiError {
	const [root = '', ...rest] = path;
	const [group, ...steps] = root === 'api' ? ['', ...rest.slice(1)] : [rest[0] ?? '', ...rest.slice(2)];
	if ((root !== 'api' && root !== 'apis') || steps.length === 0) {
		return new ApiError(
			403,
			'Forbidden',
			`forbidden: User ${JSON.stringify(user.name)} cannot ${method.toLowerCase()} path ` +
				`${JSON.stringify(`/${path.join('/')}`)}`,
			{},
		);
	}
	const spaced = steps[0] === 'namespaces' && steps.length > 2;
	const [resource = '', name = ''] = spaced ? steps.slice(2) : steps;
	const watching = ['1', 'true'].includes(query.get('watch') ?? '');
	const verb =
		method === 'GET'
			? name !== ''
				? 'get'
				: watching
					? 'watch'
					: 'list'
			: method === 'DELETE' && name === ''
				? 'deletecollection'
				: (verbs[method] ?? method.toLowerCase());
	const where = spaced ? ` in the namespace ${JSON.stringify(steps[1])}` : ' at the cluster scope';
	const what = `${resource}${group === '' ? '' : `.${group}`}${name === '' ? ' is' : ` ${JSON.stringify(name)} is`}`;
	const message =
		`${what} forbidden: User ${JSON.stringify(user.name)} cannot ${verb} resource ` +
		`${JSON.stringify(resource)} in API group ${JSON.stringify(group)}${where}`;
	return new ApiError(403, 'Forbidden', message, {
		...(name === '' ? {} : { name }),
		...(group === '' ? {} : { group: group ?? '' }),
		kind: resource,
	});
}
