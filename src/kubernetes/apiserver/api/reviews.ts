import { objectAt } from '../../json/index.ts';
import { bodyValue } from './body.ts';
import type { Answer, Api, Request, User } from './types.ts';

/** May do everything. */
export const isAdministrator = ({ groups }: User): boolean => groups.includes('system:masters');

/** `kubectl auth whoami` and `kubectl auth can-i`: questions that are asked by POST and stored nowhere. */
export function selfReview({ registry }: Api, request: Request): Answer | undefined {
	const { method, path, user } = request;
	if (method !== 'POST') return undefined;
	const question = path.join('/');
	if (question === 'apis/authentication.k8s.io/v1/selfsubjectreviews') {
		const userInfo = { username: user.name, uid: user.uid, groups: user.groups };
		return { code: 201, body: { kind: 'SelfSubjectReview', apiVersion: 'authentication.k8s.io/v1', metadata: {}, status: { userInfo } } };
	}
	if (question !== 'apis/authorization.k8s.io/v1/selfsubjectaccessreviews') return undefined;
	// What is asked for makes no difference: administrators may everything, others nothing.
	const body = request.contentType.startsWith('application/json') ? bodyValue(request, registry) : {};
	const status = isAdministrator(user) ? { allowed: true, reason: 'member of system:masters' } : { allowed: false };
	return { code: 201, body: { kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1', metadata: {}, spec: objectAt(body, 'spec'), status } };
}
