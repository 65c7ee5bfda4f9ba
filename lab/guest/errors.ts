/** The reason why a kernel of a guest returned no exit code. */
export type GuestFailure = 'missing' | 'timeout' | 'aborted' | 'crashed';

/** The command inside a guest did not complete; `kernelLog` is the output of its kernel. */
export class GuestError extends Error {
	override readonly name = 'GuestError';
	readonly reason: GuestFailure;
	readonly kernelLog: string;

	constructor(reason: GuestFailure, message: string, kernelLog = '') {
		super(kernelLog === '' ? message : `${message}\n${kernelLog.trimEnd()}`);
		this.reason = reason;
		this.kernelLog = kernelLog;
	}
}
