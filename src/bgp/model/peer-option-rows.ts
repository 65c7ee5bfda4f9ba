import type { z } from 'zod';
import { key } from '../../schema/index.ts';
import type { Policy } from './policy.ts';

/** The effect of a changed option on a running session, and the reason. */
export interface OptionChange {
	/**
	 * `live`: none on session and routes; `routes`: the routes of the peer are evaluated again;
	 * `reset`: the session starts again. The options with `routes` are those of the RIB.
	 */
	readonly effect: 'live' | 'routes' | 'reset';
	readonly why: string;
	/** The option determines the import of received routes: they are imported again. */
	readonly imports: boolean;
}

/** The values outside of a peer's own keys that options follow from. */
export interface OptionContext {
	/** `bgp.ebgpRequiresPolicy`. */
	readonly ebgpRequiresPolicy: boolean;
	/** The policies with these names. */
	policies(names: readonly string[]): readonly Policy[];
	/** The content of a file with an MD5 key; `undefined`: it was not read. */
	md5Key(file: string): string | undefined;
}

/** One option: the type of its values is `V`. */
export interface OptionRow<V, C extends OptionChange = OptionChange> {
	readonly change: C;
	/** The key of the file that the option is read from; `undefined`: its own name, or no key. */
	readonly of: string | undefined;
	/** The value for that of the key; `undefined` stands for a key that is absent. */
	readonly read: (value: never, context: OptionContext) => V;
	/** The form for output, by default the value itself. */
	readonly show: ((value: V) => unknown) | undefined;
}

/** An option that is declared together with its key of the file. */
export interface KeyRow<V, S extends z.ZodType, C extends OptionChange, N extends string | undefined>
	extends OptionRow<V, C> {
	readonly schema: S;
	/** The name of the key, if it differs from the option's. */
	readonly of: N;
}

/** The value that a key with this schema has; `undefined` if it may be absent. */
type KeyValue<S extends z.ZodType> = S extends z.ZodExactOptional<infer I> ? z.output<I> | undefined : z.output<S>;

/** The declaration of a key besides its schema. */
interface Declared<C extends OptionChange> {
	/** The line of the manual. */
	readonly text: string;
	readonly change: C;
	/** Shown in the manual for a default that is computed. */
	readonly otherwise?: string;
}

/** An option with the name and the values of its key. */
export function option<S extends z.ZodType, C extends OptionChange>(
	schema: S,
	{ text, change, otherwise }: Declared<C>,
): KeyRow<KeyValue<S>, S, C, undefined> {
	return {
		schema: key(schema, text, change.effect, otherwise),
		change,
		of: undefined,
		read: (value: KeyValue<S>) => value,
		show: undefined,
	};
}

/** An option whose values differ from those of its key, or its name (`of`). */
export function converted<
	V,
	S extends z.ZodType,
	C extends OptionChange,
	const N extends string | undefined = undefined,
>(
	schema: S,
	row: Declared<C> & {
		readonly of?: N;
		readonly read: (value: KeyValue<S>, context: OptionContext) => V;
		readonly show?: (value: V) => unknown;
	},
): KeyRow<V, S, C, N> {
	const { text, change, otherwise, of, read, show } = row;
	// `of` is absent exactly if N is `undefined`.
	return { schema: key(schema, text, change.effect, otherwise), change, of: of as N, read, show };
}

/** A further option from the key of another row. */
export function derived<V, C extends OptionChange, K>(
	of: string,
	change: C,
	read: (value: K, context: OptionContext) => V,
): OptionRow<V, C> {
	return { change, of, read, show: undefined };
}

/** An option without a key: a constant, unless the code sets it, or a value of the context. */
export function internal<V, C extends OptionChange>(
	value: V,
	change: C,
	read: (context: OptionContext) => V = () => value,
): OptionRow<V, C> {
	return { change, of: undefined, read: (_absent: undefined, context) => read(context), show: undefined };
}
