import { createLogger, format, transports, type Logger as Winston } from 'winston';
import type { LogFields, Logger } from '../core/index.ts';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFormat = 'json' | 'text';

/** The daemon's log on standard error; `setLevel` holds for all children at once. */
export interface DaemonLog extends Logger {
	setLevel(level: LogLevel): void;
	/** Resolves when everything was handed to the kernel. */
	end(): Promise<void>;
}

/** `time level message key=value ...`, as people read it. */
const text = format.printf(({ timestamp, level, message, ...fields }) => `${timestamp} ${level.padEnd(5)} ${message}${textFields(fields)}`);

function textFields(fields: Readonly<Record<string, unknown>>): string {
	return Object.entries(fields)
		.filter(([, value]) => value !== undefined)
		.map(([key, value]) => ` ${key}=${typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`)
		.join('');
}

/** Makes the log. A line below the level costs one comparison. */
export function createLog(level: LogLevel, lineFormat: LogFormat, stream: NodeJS.WritableStream): DaemonLog {
	const winston = createLogger({
		level,
		format: format.combine(format.timestamp(), lineFormat === 'json' ? format.json() : text),
		transports: [new transports.Stream({ stream })],
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
