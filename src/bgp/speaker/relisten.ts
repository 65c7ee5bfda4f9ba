import { isDeepStrictEqual } from 'node:util';
import type { ListenAddress } from '../model/speaker-options.ts';
import type { Listener } from './listener.ts';

/** The result for the listening sockets. */
interface Relistened {
	readonly listeners: readonly Listener[];
	/** The reason of a failure: `listeners` are unchanged. */
	readonly error?: unknown;
}

const isAll = ({ address }: ListenAddress): boolean => address === '0.0.0.0' || address === '::';

/**
 * The wildcard address and a specific one, or the dual-stack wildcard and an address of one family,
 * can not be bound to one port together.
 */
const clash = (left: ListenAddress, right: ListenAddress): boolean =>
	left.port === right.port && (isAll(left) || isAll(right));

/**
 * Changes the listening sockets: new ones are opened before old ones are closed, if both can
 * coexist. Sessions are not affected.
 */
export async function relisten(
	current: readonly Listener[],
	wanted: readonly ListenAddress[],
	open: (where: ListenAddress) => Promise<Listener>,
): Promise<Relistened> {
	const kept = current.filter(({ where }) => wanted.some((other) => isDeepStrictEqual(other, where)));
	const fresh = wanted.filter((other) => !kept.some(({ where }) => isDeepStrictEqual(other, where)));
	const gone = current.filter((listener) => !kept.includes(listener));
	const first = gone.filter(({ where: { address }, port }) => fresh.some((other) => clash(other, { address, port })));
	// For a configured port 0 the assigned port counts.
	const before = first.map(({ where: { address }, port }) => ({ address, port }));
	const opened: Listener[] = [];
	try {
		for (const listener of first) listener.close();
		for (const where of fresh) opened.push(await open(where));
	} catch (error) {
		for (const listener of opened) listener.close();
		const again: Listener[] = [];
		for (const where of before) again.push(await open(where));
		return { listeners: [...current.filter((listener) => !first.includes(listener)), ...again], error };
	}
	for (const listener of gone) if (!first.includes(listener)) listener.close();
	return { listeners: [...kept, ...opened] };
}
