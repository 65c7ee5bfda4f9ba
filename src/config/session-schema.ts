import { z } from 'zod';
import { type SessionShape, sessionShape } from '../bgp/index.ts';
import { address, asNumber, expects, integer, key, keyInfo, prefix, showDefault, word } from '../schema/index.ts';

// The keys of a session are declared in the table of peer options of `bgp`.

type WithoutDefaults = {
	[K in keyof SessionShape]: SessionShape[K] extends z.ZodDefault<infer T>
		? z.ZodOptional<T>
		: SessionShape[K] extends z.ZodPrefault<infer T>
			? z.ZodOptional<T>
			: SessionShape[K];
};

/**
 * The same keys without their defaults: a peer's own values, merged over those of its group, are
 * completed at the end.
 */
function withoutDefaults(shape: SessionShape): WithoutDefaults {
	const entries = Object.entries(shape).map(([name, schema]) => {
		const info = keyInfo(schema);
		if (info === undefined || !(schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault))
			return [name, schema];
		return [
			name,
			key(schema.def.innerType.optional(), info.description, info.effect, info.defaultText ?? showDefault(schema)),
		];
	});
	// The table's type is derived by the same rule as its values.
	return Object.fromEntries(entries) as WithoutDefaults;
}

const partialShape = withoutDefaults(sessionShape);
const groupName = key(
	word.exactOptional(),
	'name of a group in `bgp.groups`, whose values hold where there are none here',
	'reset',
	'none',
);

/** Values that several peers share. */
export const groupSchema = expects(
	z.strictObject({ asNumber: key(asNumber.exactOptional(), 'AS number of the peers', 'reset'), ...partialShape }),
	'a group such as { asNumber: 64512, reflectorClient: true }',
);
/** A neighbour in the form of the file. */
export const peerSchema = expects(
	z.strictObject({
		name: key(word.exactOptional(), 'unique; commands and logs use it', 'reset', 'its address'),
		address: key(address, 'where the peer is', 'reset'),
		asNumber: key(asNumber.exactOptional(), 'AS number of the peer; here or in its group', 'reset', "the group's"),
		group: groupName,
		...partialShape,
	}),
	'a peer such as { address: 10.0.1.1, asNumber: 64512 }',
);
/** Neighbours that are accepted from a prefix and never connected to. */
export const peerRangeSchema = expects(
	z.strictObject({
		name: key(word.exactOptional(), 'unique', 'reset', 'its prefix'),
		prefix: key(prefix, 'where such peers are', 'reset'),
		asNumber: key(asNumber.exactOptional(), 'AS number of the peers; here or in its group', 'reset', "the group's"),
		limit: key(
			integer(1, 100_000, 'a number of sessions').default(10_000),
			'sessions accepted at the same time',
			'live',
		),
		group: groupName,
		...partialShape,
	}),
	'a range such as { prefix: 10.0.0.0/16, asNumber: 64512 }',
);
/** A session's values, complete. */
export const sessionSchema = z.strictObject(sessionShape);

export type SessionConfig = z.output<typeof sessionSchema>;
