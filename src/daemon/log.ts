import { createLogger, format, transports, type Logger as Winston } from 'winston';
import type { LogFields, Logger } from '../core/index.ts';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFormat = 'json' | 'text';

/** The daemon's log on standard error; `setLevel` applies to all children at once. */
export interface DaemonLog extends Logger {
	setLevel(level: LogLevel): void;
	/** Resolves when all lines were passed to the kernel. */
	end(): Promise<void>;
}

/** `time level message key=value ...`, as text. */
const text = format.printf(
	({ timestamp, level, message, ...fields }) => `${timestamp} ${level.padEnd(5)} ${message}${textFields(fields)}`,
);

function textFields(fields: Readonly<Record<string, unknown>>): string {
	return Object.entries(fields)
		.filter(([, value]) => value !== undefined)
		.map(
			([key, value]) =>
				` ${key}=${typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`,
		)
		.join('');
}

/**
 * Priorities of syslog (RFC 5424 §6.2.1), as the journal reads them at the beginning of a line
 * (sd-daemon(3)).
 */
const journalPriority: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

const withPriority = format((info) => {
	// winston stores the finished line under this symbol, and the level is one of ours.
	const line = Symbol.for('message');
	info[line] = `<${journalPriority[info.level as LogLevel]}>${String(info[line])}`;
	return info;
});

/**
 * Creates the log. A line below the level costs one comparison. A failing stream ends the log, not
 * the process. `journal`: each line begins with its priority, `<4>`.
 */
export function createLog(
	level: LogLevel,
	lineFormat: LogFormat,
	stream: NodeJS.WritableStream,
	{ journal = false } = {},
): DaemonLog {
	const transport = new transports.Stream({ stream });
	const winston = createLogger({
		level,
		format: format.combine(
			format.timestamp(),
			lineFormat === 'json' ? format.json() : text,
			...(journal ? [withPriority()] : []),
		),
		transports: [transport],
	});
	// The reader of a pipe is gone (EPIPE): the daemon continues without this log.
	stream.on('error', () => {
		transport.silent = true;
	});
	return Object.assign(logger(winston, {}), {
		setLevel(next: LogLevel) {
			winston.level = next;
		},
		end: () =>
			new Promise<void>((resolve) => {
				winston.once('finish', () => resolve());
				winston.end();
			}),
	});
}

function logger(winston: Winston, fixed: LogFields): Logger {
	const write = (level: LogLevel) => (message: string, fields?: LogFields) => {
		if (winston.isLevelEnabled(level)) winston.log({ ...fixed, ...fields, level, message });
	};
	return {
		error: write('error'),
		warn: write('warn'),
		info: write('info'),
		debug: write('debug'),
		child: (fields) => logger(winston, { ...fixed, ...fields }),
	};
}
