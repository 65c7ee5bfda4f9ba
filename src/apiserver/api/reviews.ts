import { arrayAt, at, type JsonObject, objectAt, textAt } from '../../json/index.ts';
import { bodyValue } from './body.ts';
import { cause, invalid } from './status.ts';
import { type Answer, type Api, type Request, timestamp, type User } from './types.ts';

/** True for members of `system:masters`, which have all permissions. */
export const isAdministrator = ({ groups }: Pick<User, 'groups'>): boolean => groups.includes('system:masters');

const authorization = 'authorization.k8s.io/v1';

/**
 * Reviews for `kubectl auth whoami` and `kubectl auth can-i`: sent by POST, not stored. @throws
 * ApiError 422
 */
export function selfReview(api: Api, request: Request): Answer | undefined {
	const { method, path, user } = request;
	if (method !== 'POST') return undefined;
	switch (path.join('/')) {
		case 'apis/authentication.k8s.io/v1/selfsubjectreviews': {
			const userInfo = { username: user.name, uid: user.uid, groups: user.groups };
			const metadata = { creationTimestamp: timestamp(api.clock) };
			return {
				code: 201,
				body: { kind: 'SelfSubjectReview', apiVersion: 'authentication.k8s.io/v1', metadata, status: { userInfo } },
			};
		}
		case `apis/${authorization}/selfsubjectaccessreviews`:
			return review(api, request, 'SelfSubjectAccessReview', () => user);
		case `apis/${authorization}/subjectaccessreviews`:
			return review(api, request, 'SubjectAccessReview', (spec) => ({ groups: arrayAt(spec, 'groups').map(String) }));
		case `apis/${authorization}/selfsubjectrulesreviews`: {
			const spec = specOf(api, request);
			const status = { resourceRules: resourceRules(user), nonResourceRules: pathRules(user), incomplete: false };
			return {
				code: 201,
				body: { kind: 'SelfSubjectRulesReview', apiVersion: authorization, metadata: {}, spec, status },
			};
		}
		default:
			return undefined;
	}
}

const specOf = ({ registry }: Api, request: Request): JsonObject =>
	objectAt(request.contentType.startsWith('application/json') ? bodyValue(request, registry) : {}, 'spec');

/** The resource is irrelevant: administrators have all permissions, other users none. */
function review(api: Api, request: Request, kind: string, about: (spec: JsonObject) => Pick<User, 'groups'>): Answer {
	const spec = specOf(api, request);
	const binary = !request.contentType.startsWith('application/json');
	if (!binary && (at(spec, 'resourceAttributes') === undefined) === (at(spec, 'nonResourceAttributes') === undefined)) {
		const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
		throw invalid('authorization.k8s.io', '', '', [cause.invalid('spec.resourceAttributes', 'null', why)]);
	}
	if (
		!binary &&
		kind === 'SubjectAccessReview' &&
		(textAt(spec, 'user') ?? '') === '' &&
		arrayAt(spec, 'groups').length === 0
	)
		throw invalid('authorization.k8s.io', '', '', [
			cause.invalid('spec.user', '""', 'at least one of user or group must be specified'),
		]);
	return {
		code: 201,
		body: { kind, apiVersion: authorization, metadata: {}, spec, status: { allowed: isAdministrator(about(spec)) } },
	};
}

function resourceRules(user: User): JsonObject[] {
	const asking = [
		{ verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
		{
			verbs: ['create'],
			apiGroups: ['authorization.k8s.io'],
			resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
		},
	];
	return isAdministrator(user) ? [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, ...asking] : asking;
}

function pathRules(user: User): JsonObject[] {
	const looking = [
		{
			verbs: ['get'],
			nonResourceURLs: [
				'/api',
				'/api/*',
				'/apis',
				'/apis/*',
				'/healthz',
				'/livez',
				'/openapi',
				'/openapi/*',
				'/readyz',
				'/version',
				'/version/',
			],
		},
	];
	return isAdministrator(user) ? [{ verbs: ['*'], nonResourceURLs: ['*'] }, ...looking] : looking;
}
