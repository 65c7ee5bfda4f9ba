/** The CNI specification's error codes; codes from 100 on are ours. */
export const CniCode = {
	incompatibleVersion: 1,
	unsupportedField: 2,
	unknownContainer: 3,
	invalidEnvironment: 4,
	ioFailure: 5,
	decodingFailure: 6,
	invalidConfiguration: 7,
	tryAgainLater: 11,
	notAvailable: 50,
	/** No address for this request; a retry gives the same result. */
	noAddress: 100,
	/** CHECK: the container's address differs from its allocation. */
	addressMismatch: 101,
} as const;

/** An error in the form of the CNI specification: code, message, and details with a remedy. */
export class CniError extends Error {
	override readonly name = 'CniError';
	readonly code: number;
	readonly details: string;

	constructor(code: number, message: string, details = '') {
		super(message);
		this.code = code;
		this.details = details;
	}
}

/** The error as JSON, in the caller's version. */
export const errorResult = (cniVersion: string, { code, message, details }: CniError): string =>
	JSON.stringify({ cniVersion, code, msg: message, ...(details === '' ? {} : { details }) });
