import type { JsonObject } from '../../json/index.ts';

/** One reason of a rejection: `field` is a path such as `spec.cidr`. */
export interface Cause {
	readonly reason: string;
	readonly message: string;
	readonly field: string;
}

/** The subject of an error. */
export interface StatusDetails {
	readonly name?: string;
	readonly group?: string;
	readonly kind?: string;
	readonly uid?: string;
	readonly causes?: readonly Cause[];
	readonly retryAfterSeconds?: number;
}

/** An error in Kubernetes' wording: HTTP code, reason, and a Status object as the body. */
export class ApiError extends Error {
	override readonly name = 'ApiError';
	readonly code: number;
	readonly reason: string;
	readonly details: StatusDetails | undefined;
	/** The token that continues an expired list at a newer state. */
	readonly continueToken: string | undefined;

	constructor(code: number, reason: string, message: string, details?: StatusDetails, continueToken?: string) {
		super(message);
		this.code = code;
		this.reason = reason;
		this.details = details;
		this.continueToken = continueToken;
	}

	/** The body: `kind: Status`. */
	toStatus(): JsonObject {
		return {
			kind: 'Status',
			apiVersion: 'v1',
			metadata: this.continueToken === undefined ? {} : { continue: this.continueToken },
			status: 'Failure',
			message: this.message,
			...(this.reason === '' ? {} : { reason: this.reason }),
			...(this.details === undefined ? {} : { details: detailsJson(this.details) }),
			code: this.code,
		};
	}
}

function detailsJson({ causes, ...rest }: StatusDetails): JsonObject {
	if (causes === undefined) return { ...rest };
	// Empty members are omitted.
	return {
		...rest,
		causes: causes.map((one) => Object.fromEntries(Object.entries(one).filter(([, text]) => text !== ''))),
	};
}

/** A resource as messages name it: `nodes`, `ippools.crd.projectcalico.org`. */
export interface ResourceName {
	readonly group: string;
	readonly plural: string;
}

const qualified = ({ group, plural }: ResourceName): string => (group === '' ? plural : `${plural}.${group}`);
const about = ({ group, plural }: ResourceName, name: string): StatusDetails => ({
	name,
	...(group === '' ? {} : { group }),
	kind: plural,
});

export const notFound = (resource: ResourceName, name: string): ApiError =>
	new ApiError(404, 'NotFound', `${qualified(resource)} "${name}" not found`, about(resource, name));

/** The resource does not exist in an existing group. */
export const noSuchPath = (): ApiError =>
	new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});

export const alreadyExists = (resource: ResourceName, name: string): ApiError =>
	new ApiError(409, 'AlreadyExists', `${qualified(resource)} "${name}" already exists`, about(resource, name));

export const conflict = (resource: ResourceName, name: string, why: string): ApiError =>
	new ApiError(
		409,
		'Conflict',
		`Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`,
		about(resource, name),
	);

export const stale = (resource: ResourceName, name: string): ApiError =>
	conflict(
		resource,
		name,
		'the object has been modified; please apply your changes to the latest version and try again',
	);

/** The object violates the rules of its kind. */
export function invalid(group: string, kind: string, name: string, causes: readonly Cause[]): ApiError {
	const lines = causes.map(({ field, message }) => `${field}: ${message}`);
	const list = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
	const named = group === '' ? kind : `${kind}.${group}`;
	return new ApiError(422, 'Invalid', `${named} "${name}" is invalid: ${list}`, {
		...(name === '' ? {} : { name }),
		...(group === '' ? {} : { group }),
		...(kind === '' ? {} : { kind }),
		causes,
	});
}

export const badRequest = (message: string): ApiError => new ApiError(400, 'BadRequest', message);
export const unauthorized = (): ApiError => new ApiError(401, 'Unauthorized', 'Unauthorized');
export const forbidden = (resource: ResourceName, name: string, why: string): ApiError =>
	new ApiError(
		403,
		'Forbidden',
		`${qualified(resource)}${name === '' ? ' is' : ` "${name}" is`} forbidden: ${why}`,
		about(resource, name),
	);
export const methodNotAllowed = (): ApiError =>
	new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
export const expired = (message: string, continueToken?: string): ApiError =>
	new ApiError(410, 'Expired', message, undefined, continueToken);
export const tooLarge = (limitBytes: number): ApiError =>
	new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limitBytes}`);
export const internal = (message: string): ApiError =>
	new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, {
		causes: [{ reason: '', message, field: '' }],
	});

/** The requested revision is in the future. */
export const tooNew = (asked: number, current: number): ApiError =>
	new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${asked}, current: ${current}`, {
		causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' }],
		retryAfterSeconds: 1,
	});

/** Causes in Kubernetes' wording. */
export const cause = {
	required: (field: string, detail = ''): Cause => ({
		reason: 'FieldValueRequired',
		message: detail === '' ? 'Required value' : `Required value: ${detail}`,
		field,
	}),
	invalid: (field: string, shown: string, detail: string): Cause => ({
		reason: 'FieldValueInvalid',
		message: `Invalid value: ${shown}: ${detail}`,
		field,
	}),
	type: (field: string, shown: string, detail: string): Cause => ({
		reason: 'FieldValueTypeInvalid',
		message: `Invalid value: ${shown}: ${detail}`,
		field,
	}),
	unsupported: (field: string, shown: string, supported: readonly string[]): Cause => ({
		reason: 'FieldValueNotSupported',
		message: `Unsupported value: ${shown}: supported values: ${supported.join(', ')}`,
		field,
	}),
	forbidden: (field: string, detail: string): Cause => ({
		reason: 'FieldValueForbidden',
		message: `Forbidden: ${detail}`,
		field,
	}),
	duplicate: (field: string, shown: string): Cause => ({
		reason: 'FieldValueDuplicate',
		message: `Duplicate value: ${shown}`,
		field,
	}),
	tooLong: (field: string, detail: string): Cause => ({
		reason: 'FieldValueTooLong',
		message: `Too long: ${detail}`,
		field,
	}),
	tooMany: (field: string, count: number, most: number): Cause => ({
		reason: 'FieldValueTooMany',
		message: `Too many: ${count}: must have at most ${most} items`,
		field,
	}),
};
