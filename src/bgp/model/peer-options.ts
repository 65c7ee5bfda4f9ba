import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { canonicalAddress } from '../../core/index.ts';
import type { KeyRow, OptionChange, OptionContext, OptionRow } from './peer-option-rows.ts';
import { peerOptionTable } from './peer-option-table.ts';

type Rows = typeof peerOptionTable;
type Value<R> = R extends OptionRow<infer V> ? V : never;

/**
 * Configuration of one neighbor. Every field is present, so that two values can be compared field
 * by field; `peerOptions` applies the defaults.
 */
export type PeerOptions = { readonly [K in keyof Rows]: Value<Rows[K]> };

/**
 * The part of the options that concerns a peer's routes; may change while the session is
 * established.
 */
export type RibPeerOptions = {
	readonly [K in keyof Rows as Rows[K]['change']['effect'] extends 'routes' ? K : never]: Value<Rows[K]>;
};

/**
 * Dynamic neighbours: accepted from a range, never connected to, removed at the end of their
 * session.
 */
export interface PeerRangeOptions {
	readonly name: string;
	/** Canonical prefix text. */
	readonly prefix: string;
	/** Maximum number of concurrent sessions. */
	readonly limit: number;
	/** All settings except those from the neighbour itself. */
	readonly peer: PeerTemplate;
}

/** Settings shared by the neighbours of a range. */
export type PeerTemplate = Omit<PeerOptions, 'name' | 'address' | 'passive' | 'port' | 'enabled'>;

type KeyName<K, R> = R extends KeyRow<infer _V, infer _S, infer _C, infer N> ? (N extends string ? N : K) : never;

/** The keys that peers, groups and ranges of the configuration file have in common. */
export type SessionShape = {
	[K in keyof Rows as KeyName<K, Rows[K]>]: Rows[K] extends { readonly schema: infer S extends z.ZodType } ? S : never;
};

/** The values of these keys, complete. */
type SessionValues = Readonly<z.output<z.ZodObject<SessionShape>>>;

// The rows seen without the types of their values.
interface AnyRow {
	readonly change: OptionChange;
	readonly of: string | undefined;
	readonly schema?: z.ZodType;
	readonly read: (value: unknown, context: OptionContext) => unknown;
	readonly show: ((value: unknown) => unknown) | undefined;
}
const rows = Object.entries(
	peerOptionTable as unknown as Readonly<Record<keyof PeerOptions, AnyRow>>,
) as readonly (readonly [keyof PeerOptions, AnyRow])[];

/** The keys, in the order of the manual. */
export const sessionShape = Object.fromEntries(
	rows.flatMap(([name, { schema, of }]) => (schema === undefined ? [] : [[of ?? name, schema]])),
) as SessionShape;

const namesOfPeer = ['name', 'address', 'asNumber'] as const;
type OfPeer = (typeof namesOfPeer)[number];

/** The options that follow from the values of the file; `name`, `address` and `asNumber` do not. */
export function readPeerOptions(values: SessionValues, context: OptionContext): Omit<PeerOptions, OfPeer> {
	const given: Readonly<Record<string, unknown>> = values;
	const read = rows.map(([name, row]) => [name, row.read(given[row.of ?? name], context)]);
	const options: Record<string, unknown> = Object.fromEntries(read);
	for (const name of namesOfPeer) delete options[name];
	// Every row has given its value.
	return options as Omit<PeerOptions, OfPeer>;
}

/** Defaults of `PeerOptions`. */
export const peerDefaults: Omit<PeerOptions, OfPeer> = readPeerOptions(z.strictObject(sessionShape).parse({}), {
	ebgpRequiresPolicy: true,
	policies: () => [],
	md5Key: () => undefined,
});

/** A complete `PeerOptions`; the default name is the address. @throws AddressError */
export function peerOptions(given: Partial<PeerOptions> & Pick<PeerOptions, 'address' | 'asNumber'>): PeerOptions {
	const address = canonicalAddress(given.address);
	return { ...peerDefaults, name: address, ...given, address };
}

/** The effect of a change of each option, in the order of the table. */
export const optionChanges: readonly (readonly [keyof PeerOptions, OptionChange])[] = rows.map(([name, { change }]) => [
	name,
	change,
]);

const imported = rows.flatMap(([name, { change }]) => (change.imports ? [name] : []));

/** A text of the options that determine import; equal texts have equal results. */
export function importKey(options: RibPeerOptions): string {
	const values: Readonly<Record<string, unknown>> = options;
	return JSON.stringify(imported.map((name) => values[name]));
}

const shownElsewhere: ReadonlySet<string> = new Set([...namesOfPeer, 'description']);

/** The options that differ from their defaults, for output: no secret is among them. */
export function changedOptions(options: PeerOptions): Readonly<Record<string, unknown>> {
	const defaults: Partial<PeerOptions> = peerDefaults;
	return Object.fromEntries(
		rows.flatMap(([name, { show }]) =>
			shownElsewhere.has(name) || isDeepStrictEqual(options[name], defaults[name])
				? []
				: [[name, show === undefined ? options[name] : show(options[name])]],
		),
	);
}
