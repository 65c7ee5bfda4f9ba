import type { ConfigProblem } from './errors.ts';
import { type Config, deepFreeze } from './resolve.ts';

/** Number of list elements sent at a time: a receiver processes them in a millisecond or two. */
const partLength = 1000;

/** A potentially long list of the configuration, and its path. */
type ListPath = readonly ['bgp', 'peers' | 'peerRanges' | 'originate'] | readonly ['pools'];
const listPaths: readonly ListPath[] = [['bgp', 'peers'], ['bgp', 'peerRanges'], ['bgp', 'originate'], ['pools']];

/**
 * The messages of a thread that parses a configuration, in this order; the receiver requests each
 * part.
 */
export type ConfigPart =
	/** The configuration with its long lists empty. */
	| { readonly type: 'frame'; readonly config: Config }
	/** Elements of the list with this index in the order of `listPaths`. */
	| { readonly type: 'elements'; readonly list: number; readonly elements: readonly unknown[] }
	| { readonly type: 'end' }
	| { readonly type: 'refused'; readonly problems: readonly ConfigProblem[] }
	| { readonly type: 'failed'; readonly message: string };

/**
 * A configuration in parts: copied between threads as a whole, half a million origins would block
 * the receiver for a second. Pure.
 */
export function* partsOf(config: Config): Generator<ConfigPart, void, void> {
	yield { type: 'frame', config: listPaths.reduce((rest, path) => withList(rest, path, () => []), config) };
	for (const [list, path] of listPaths.entries()) {
		const all = listAt(config, path);
		for (let at = 0; at < all.length; at += partLength)
			yield { type: 'elements', list, elements: all.slice(at, at + partLength) };
	}
	yield { type: 'end' };
}

/** Reassembles the parts. */
export class ConfigAssembly {
	#frame: Config | undefined;
	readonly #lists: unknown[][] = listPaths.map(() => []);

	add(part: Extract<ConfigPart, { type: 'frame' | 'elements' }>): void {
		if (part.type === 'frame') this.#frame = part.config;
		else for (const element of part.elements) this.#lists[part.list]?.push(deepFreeze(element));
	}

	/** The configuration, frozen as `parseConfig` freezes it. */
	end(): Config {
		if (this.#frame === undefined) throw new Error('a configuration begins with its frame');
		const whole = listPaths.reduce(
			(config, path, list) => withList(config, path, () => Object.freeze(this.#lists[list] ?? [])),
			this.#frame,
		);
		// The lists are frozen already, so this freezes only the rest.
		return deepFreeze(whole);
	}
}

function listAt(config: Config, path: ListPath): readonly unknown[] {
	return path[0] === 'pools' ? config.pools : (config.bgp?.[path[1]] ?? []);
}

/** A copy with another list; without `bgp` there are no lists in it. */
function withList(config: Config, path: ListPath, list: () => readonly unknown[]): Config {
	// The elements have the list's own type: they were validated with the configuration.
	if (path[0] === 'pools') return { ...config, pools: list() as Config['pools'] };
	if (config.bgp === undefined) return config;
	return { ...config, bgp: { ...config.bgp, [path[1]]: list() } };
}
