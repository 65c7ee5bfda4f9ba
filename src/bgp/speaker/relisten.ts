import { isDeepStrictEqual } from 'node:util';
import type { Listener } from '../listener.ts';
import type { ListenAddress } from './options.ts';

/** What became of the listening sockets. */
export interface Relistened {
	readonly listeners: readonly Listener[];
	/** Why what was wanted could not be had: `listeners` are where they were. */
	readonly error?: unknown;
}

const isAll = ({ address }: ListenAddress): boolean => address === '0.0.0.0' || address === '::';

/** All addresses and one of them, or those of both families and of one, can't both be listened at with one port. */
const clash = (left: ListenAddress, right: ListenAddress): boolean => left.port === right.port && (isAll(left) || isAll(right));

/** Moves listening sockets to where they are wanted: new ones are there before old ones go, wherever both can be. Sessions are not touched. */
export async function relisten(
	current: readonly Listener[],
	wanted: readonly ListenAddress[],
	open: (where: ListenAddress) => Promise<Listener>,
): Promise<Relistened> {
	const kept = current.filter(({ where }) => wanted.some((other) => isDeepStrictEqual(other, where)));
	const fresh = wanted.filter((other) => !kept.some(({ where }) => isDeepStrictEqual(other, where)));
	const gone = current.filter((listener) => !kept.includes(listener));
	const first = gone.filter(({ where: { address }, port }) => fresh.some((other) => clash(other, { address, port })));
	// Where port 0 was asked for it is the one that was given that counts.
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
