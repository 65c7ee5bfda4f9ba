import { z } from 'zod';
import { alternatives, bare, expectation, keyInfo, shapeOf, showDefault } from '../schema/index.ts';
import { configSchema } from './schema.ts';

/** One key in the form of the manual. */
export interface KeyReference {
	readonly key: string;
	readonly expected: string;
	readonly default: string;
	readonly effect: string;
	readonly description: string;
}

/** Every key of the file in its order: `bgp.peers[].address`, `bgp.groups.NAME.port`. */
export function configReference(): KeyReference[] {
	return rows(configSchema, '');
}

function rows(schema: z.core.$ZodType, prefix: string): KeyReference[] {
	return Object.entries(shapeOf(schema)).flatMap(([name, declared]) => {
		const info = keyInfo(declared);
		const key = prefix === '' ? name : `${prefix}.${name}`;
		if (info === undefined) return [];
		const row = {
			key,
			expected: expectation(declared) ?? valueText(declared),
			default: defaultText(declared, info.defaultText),
			effect: info.effect,
			description: info.description,
		};
		return [row, ...below(declared, key)];
	});
}

function below(declared: z.core.$ZodType, key: string): KeyReference[] {
	return alternatives(declared).flatMap((plain) => {
		if (plain instanceof z.ZodObject) return rows(plain, key);
		if (plain instanceof z.ZodArray) return rows(plain.element, `${key}[]`);
		if (plain instanceof z.ZodRecord) return rows(plain.valueType, `${key}.NAME`);
		return [];
	});
}

function valueText(declared: z.core.$ZodType): string {
	const plain = bare(declared);
	if (plain instanceof z.ZodRecord) return 'a map of names';
	return plain instanceof z.ZodObject ? 'a map' : 'text';
}

function defaultText(declared: z.core.$ZodType, computed: string | undefined): string {
	if (computed !== undefined) return computed;
	const shown = showDefault(declared);
	if (shown !== undefined) return shown;
	return declared instanceof z.ZodExactOptional || declared instanceof z.ZodOptional ? '' : 'required';
}

/** The file's shape as JSON schema (draft 2020-12), for editors. */
export function configJsonSchema(): object {
	return z.toJSONSchema(configSchema, {
		io: 'input',
		unrepresentable: 'any',
		override: ({ zodSchema, jsonSchema }) => {
			const info = keyInfo(zodSchema);
			const expected = expectation(zodSchema);
			const description = [info?.description, expected === undefined ? undefined : `Expected: ${expected}.`]
				.filter((part) => part !== undefined)
				.join('. ');
			if (description !== '') jsonSchema.description = description;
		},
	});
}

/**
 * The keys as tables in Markdown, one for each section; keys common to peers, groups and ranges are
 * listed once.
 */
export function configManual(): string {
	const keys = configReference();
	const sections: readonly { readonly title: string; readonly under: string }[] = [
		{ title: 'The file', under: '' },
		...['datastore', 'bgp', 'bgp.listen', 'bgp.peers[]', 'bgp.peerRanges[]', 'bgp.groups.NAME', 'bgp.originate[]'].map(
			section,
		),
		...[
			'policies.NAME',
			'policies.NAME.terms[]',
			'policies.NAME.terms[].match',
			'pools[]',
			'ipip',
			'fib',
			'control',
			'metrics',
			'log',
		].map(section),
	];
	const shared = new Set(
		keys.flatMap(({ key }) => (key.startsWith('bgp.groups.NAME.') ? [key.slice('bgp.groups.NAME.'.length)] : [])),
	);
	return sections
		.map(({ title, under }) => {
			const deep = under === 'bgp.groups.NAME' || under === 'metrics';
			const own = keys
				.filter(({ key }) => inside(key, under, deep))
				.map((row) => ({ ...row, key: row.key.slice(under === '' ? 0 : under.length + 1) }));
			const listed =
				under === 'bgp.peers[]' || under === 'bgp.peerRanges[]'
					? own.filter(({ key }) => !shared.has(key) || key === 'asNumber')
					: own;
			return (
				`### ${title}\n\n| key | expected | default | at a reload | ` +
				`|\n|---|---|---|---|---|\n${listed.map(manualRow).join('')}`
			);
		})
		.join('\n');
}

const section = (under: string) => ({ title: `\`${under}\``, under });

function inside(key: string, under: string, deep: boolean): boolean {
	if (under !== '' && !key.startsWith(`${under}.`)) return false;
	const rest = under === '' ? key : key.slice(under.length + 1);
	return deep || !/[.[]/.test(rest);
}

function manualRow({ key, expected, default: fallback, effect, description }: KeyReference): string {
	const cell = (text: string) => text.replaceAll('|', '\\|');
	return `| \`${key}\` | ${cell(expected)} | ${cell(fallback)} | ${effect} | ${cell(description)} |\n`;
}
