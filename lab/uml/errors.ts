/** Why user-mode-linux gave no exit code. */
export type UmlFailure = 'missing' | 'timeout' | 'aborted' | 'crashed';

/** The command inside user-mode-linux did not run to its end; `kernelLog` is what that kernel said. */
export class UmlError extends Error {
	override readonly name = 'UmlError';
	readonly reason: UmlFailure;
	readonly kernelLog: string;

	constructor(reason: UmlFailure, message: string, kernelLog = '') {
		super(kernelLog === '' ? message : `${message}\n${kernelLog.trimEnd()}`);
		this.reason = reason;
		this.kernelLog = kernelLog;
	}
}
