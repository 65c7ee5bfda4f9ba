import type { LogFields, Logger } from '../../src/core/index.ts';

export interface LogLine {
	readonly level: 'error' | 'warn' | 'info' | 'debug';
	readonly message: string;
	readonly fields: LogFields;
}

/** A logger that keeps its lines. */
export function recordingLogger(
	lines: LogLine[] = [],
	context: LogFields = {},
): Logger & { readonly lines: LogLine[] } {
	const at =
		(level: LogLine['level']) =>
		(message: string, fields: LogFields = {}) =>
			void lines.push({ level, message, fields: { ...context, ...fields } });
	return {
		lines,
		error: at('error'),
		warn: at('warn'),
		info: at('info'),
		debug: at('debug'),
		child: (fields) => recordingLogger(lines, { ...context, ...fields }),
	};
}
