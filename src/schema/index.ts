/**
 * The declaration of a key of the configuration file: a zod schema of its values, with meaning,
 * default and effect of a change (`key`), the text of what is expected (`expects`), and the scalars
 * that keys share: addresses, prefixes, AS numbers, communities. `config` assembles the file from
 * them; a table of options in another room declares its keys by the same means.
 */
export {
	alternatives,
	bare,
	expectation,
	expects,
	key,
	keyInfo,
	member,
	type ReloadEffect,
	reloadEffects,
	schemaAt,
	shapeOf,
	showDefault,
} from './keys.ts';
export * from './scalars.ts';
