/** The CNI specification's error codes, and ours from 100 on. */
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
	/** No address for this request; trying again with the same request gives the same answer. */
	noAddress: 100,
	/** CHECK: the container's address is not the one it was given. */
	addressMismatch: 101,
} as const;

/** A refusal as CNI wants it on standard output: code, one sentence, and what helps. */
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

/** The error's JSON, in the version the caller speaks. */
export const errorResult = (cniVersion: string, { code, message, details }: CniError): string =>
	JSON.stringify({ cniVersion, code, msg: message, ...(details === '' ? {} : { details }) });
