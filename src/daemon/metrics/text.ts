import type { MetricRow, MetricSources } from './row.ts';

/** The content type of the text format, version 0.0.4. */
export const textContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** The two lines before the samples of a metric. */
export const headOf = ({ name, kind, help }: Pick<MetricRow, 'name' | 'kind' | 'help'>): string =>
	`# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n# TYPE ${name} ${kind}\n`;

/** Label values of the text format: backslash, quote and line end are escaped. */
export const escapedLabel = (value: string): string => value.replace(/[\\"\n]/g, escaped);

const escaped = (character: string): string => (character === '\n' ? '\\n' : `\\${character}`);

/**
 * The metrics of all rows in the text format of Prometheus, a row at a time. A row without samples
 * has its head only.
 */
export async function rowsText(rows: readonly MetricRow[], sources: MetricSources): Promise<readonly string[]> {
	return Promise.all(
		rows.map(async (row) => {
			const lines = (await row.samples(sources)).map(
				([labels, value]) => `${row.name}${labelsText(labels)} ${numberText(value)}\n`,
			);
			return headOf(row) + lines.join('');
		}),
	);
}

function labelsText(labels: Readonly<Record<string, string>>): string {
	const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapedLabel(value)}"`);
	return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function numberText(value: number): string {
	if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
	return value > 0 ? '+Inf' : '-Inf';
}
