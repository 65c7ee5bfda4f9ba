import {
	type Document,
	isMap,
	isNode,
	isPair,
	isScalar,
	LineCounter,
	type Node,
	type ParsedNode,
	parseDocument,
	visit,
} from 'yaml';
import { ConfigError, type ConfigProblem, formatPath } from './errors.ts';
import { describe, type Path, shown, valueAt } from './problems.ts';
import { type Config, resolve } from './resolve.ts';
import { configSchema } from './schema.ts';

/**
 * A configuration file's text as a frozen Config; pure. @throws ConfigError with every problem and
 * its place in `fileName`.
 */
export function parseConfig(text: string, fileName: string): Config {
	const lines = new LineCounter();
	const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
	const place = (offset: number) => {
		const { line, col } = lines.linePos(offset);
		return { line, column: col };
	};
	if (document.errors.length > 0) {
		throw new ConfigError(
			fileName,
			document.errors.map(({ pos, message }) => ({
				...place(pos[0]),
				key: '',
				found: `a YAML error (${message})`,
				expected: 'YAML',
			})),
		);
	}
	// `1.10` is an AS number; as a fraction it would be 1.1. No key accepts a fraction.
	visit(document, {
		Scalar(_, node) {
			if (typeof node.value === 'number' && node.source !== undefined && /^\d+\.\d+$/.test(node.source))
				node.value = node.source;
		},
	});
	const root = document.contents;
	const locate = (path: Path, target: 'key' | 'value') => {
		const offset = offsetOf(root, path, target);
		return offset === undefined ? { line: 0, column: 0 } : place(offset);
	};
	const values = valuesOf(document, fileName);
	const parsed = configSchema.safeParse(values);
	if (!parsed.success) {
		const problems = parsed.error.issues
			.flatMap((issue) => describe(issue, [], values))
			.map(({ path, target, ...rest }) => ({ ...locate(path, target), key: formatPath(path), ...rest }));
		throw new ConfigError(fileName, inOrder(problems));
	}
	const { config, contradictions } = resolve(parsed.data);
	if (contradictions.length > 0) {
		const problems = contradictions.map(({ path, expected }) => ({
			...locate(path, 'value'),
			key: formatPath(path),
			found: shown(valueAt(values, path)),
			expected,
		}));
		throw new ConfigError(fileName, inOrder(problems));
	}
	return config;
}

/**
 * The document as plain values. @throws ConfigError for an alias without an anchor, or with
 * excessive expansion
 */
function valuesOf(document: Document, fileName: string): unknown {
	try {
		return document.toJS() ?? {};
	} catch (error) {
		const found = `a YAML error (${error instanceof Error ? error.message : String(error)})`;
		throw new ConfigError(fileName, [{ line: 0, column: 0, key: '', found, expected: 'YAML' }], { cause: error });
	}
}

/** The position of `path` in the text, or of the nearest existing parent. */
function offsetOf(root: ParsedNode | Node | null, path: Path, target: 'key' | 'value'): number | undefined {
	let node: unknown = root;
	let offset = isNode(root) ? root.range?.[0] : undefined;
	for (const [index, step] of path.entries()) {
		if (isMap(node)) {
			const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
			if (!isPair(pair)) return offset;
			const keyOffset = isNode(pair.key) ? pair.key.range?.[0] : undefined;
			const value =
				isNode(pair.value) && !(isScalar(pair.value) && pair.value.value === null) ? pair.value.range?.[0] : undefined;
			offset = index === path.length - 1 && target === 'value' ? (value ?? keyOffset) : keyOffset;
			node = pair.value;
		} else {
			const item = isNode(node) && 'items' in node ? (node.items as readonly unknown[])[Number(step)] : undefined;
			if (!isNode(item)) return offset;
			offset = item.range?.[0];
			node = item;
		}
	}
	return offset;
}

function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
	return problems.toSorted((left, right) => left.line - right.line || left.column - right.column);
}
