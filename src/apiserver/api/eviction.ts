import { isObject, stringifyJson, textAt } from '../../json/index.ts';
import { commonRules, type ResourceType } from '../resources/index.ts';
import { Schema } from '../schema/index.ts';
import { bodyObject } from './body.ts';
import { checkWriteOptions } from './options.ts';
import { badRequest } from './status.ts';
import type { Answer, Api, Request, Target } from './types.ts';
import { checkNamespace, normalized, remove } from './write.ts';

/**
 * POST of `pods/NAME/eviction`, which `kubectl drain` uses: deletes a pod with the delete options
 * of the body. There are no disruption budgets, so an eviction is always granted. @throws ApiError
 */
export async function evict(api: Api, request: Request, target: Target): Promise<Answer> {
	checkWriteOptions(request, 'CreateOptions');
	const type: ResourceType = {
		...target.type,
		group: 'policy',
		version: 'v1',
		kind: 'Eviction',
		schema: new Schema({ $ref: 'io.k8s.api.policy.v1.Eviction' }, api.registry.definitions),
		rules: commonRules,
	};
	const { object, warnings } = normalized(request, type, bodyObject(api.registry, request, { ...target, type }));
	checkNamespace(api, target);
	if (textAt(object, 'metadata', 'name') !== target.name)
		throw badRequest('name in URL does not match name in Eviction object');
	const options = object['deleteOptions'];
	const said = isObject(options)
		? { ...options, ...(request.query.has('dryRun') ? { dryRun: request.query.getAll('dryRun') } : {}) }
		: undefined;
	const body = said === undefined ? Buffer.alloc(0) : Buffer.from(stringifyJson(said));
	await remove(
		api,
		{ ...request, method: 'DELETE', contentType: 'application/json', body },
		{ ...target, subresource: '' },
	);
	return {
		code: 201,
		body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 },
		warnings,
	};
}
