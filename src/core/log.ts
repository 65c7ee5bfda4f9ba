/** Fields of a message. Values must be JSON-safe; bytes are hex text. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * A constant message and fields. `error`: an operator must act; `warn`: recovered from something
 * unexpected; `info`: state changed; `debug`: each message.
 */
export interface Logger {
	error(message: string, fields?: LogFields): void;
	warn(message: string, fields?: LogFields): void;
	info(message: string, fields?: LogFields): void;
	debug(message: string, fields?: LogFields): void;
	/** A logger that adds `fields` to every line. */
	child(fields: LogFields): Logger;
}

/** Drops everything: for tests, and for rooms used as a library. */
export const silentLogger: Logger = {
	error() {},
	warn() {},
	info() {},
	debug() {},
	child: () => silentLogger,
};
