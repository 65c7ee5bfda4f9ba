import { ControlError } from '../control/index.ts';
import {
	AddressError,
	aFew,
	canonicalAddress,
	type ExplainedAddress,
	type ExplanationView,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
	prefixKey,
} from '../core/index.ts';
import { poolsOf } from './node-state.ts';
import { limitNotes, withheldBySessions } from './peer-problems.ts';
import type { Rooms } from './rooms.ts';

/** The parts of the daemon with information about a route or an address. */
export type ExplainSources = Pick<Rooms, 'rib' | 'speaker' | 'kernel' | 'planes' | 'addresses'>;

/**
 * The reason why the best path to a prefix or an address is best, its receivers, and the owner of
 * the address. @throws ControlError
 */
export async function explain(sources: ExplainSources, target: string | undefined): Promise<ExplanationView> {
	if (target === undefined)
		throw new ControlError(400, 'bad-request', 'a target is missing', 'target: a prefix or an address');
	if (target.includes('/'))
		return explainPrefix(
			sources,
			parsed(() => prefixKey(target)),
		);
	return explainAddress(
		sources,
		parsed(() => canonicalAddress(target)),
	);
}

function explainPrefix(sources: ExplainSources, prefix: PrefixKey): ExplanationView {
	const { rib, kernel } = sources;
	const explained = rib.explain(prefix);
	const { announced } = explained;
	const notes = notesOf(sources, explained);
	return {
		...explained,
		...(announced === undefined
			? {}
			: { announced: { ...announced, withheld: [...announced.withheld, ...withheldBySessions(sources)] } }),
		...(kernel === undefined ? {} : { kernel: kernel.fib.routesOf(prefix) }),
		...(notes.length === 0 ? {} : { notes }),
	};
}

function notesOf(sources: ExplainSources, { paths }: ExplanationView): string[] {
	const { rib, kernel } = sources;
	const isBest = paths.some(({ best }) => best);
	const isSelectable = paths.some(({ ineligible }) => ineligible === undefined);
	const refusal = kernel?.fib.refusal;
	return [
		...limitNotes(sources),
		...(!isBest && isSelectable
			? [
					'not selected ' +
						`yet${rib.inSync ? '' : `, routes of these peers are awaited: ${aFew(rib.waitingFor, mostNames)}`}`,
				]
			: []),
		...(isBest && kernel === undefined ? ['not written to the kernel: fib.enabled is false'] : []),
		...(isBest && refusal !== undefined
			? [`not written to the kernel, another program owns the routes of this node: ${refusal.reason}`]
			: []),
	];
}

const mostNames = 10;

/** By the prefix that packets to the address follow; unused more specific ones are included. */
async function explainAddress(sources: ExplainSources, address: string): Promise<ExplanationView> {
	const explanations = sources.rib.covering(address).map((prefix) => explainPrefix(sources, prefix));
	const followed = explanations.find(({ paths }) => paths.some(({ best }) => best)) ?? explanations[0];
	const known = await explainedAddress(sources, address);
	if (followed === undefined && known.block === undefined && known.pool === undefined)
		throw new ControlError(404, 'no-route', `there is no route to ${address}, and no pool contains it`);
	const passedOver = followed === undefined ? [] : explanations.slice(0, explanations.indexOf(followed));
	return {
		...(followed ?? { prefix: prefixKey(`${address}/${address.includes(':') ? 128 : 32}`), paths: [] }),
		...(passedOver.length === 0 ? {} : { passedOver: passedOver.map(({ prefix, paths }) => ({ prefix, paths })) }),
		address: known,
	};
}

/** The pool, the block and the pod of an address, as far as known on this node. */
async function explainedAddress({ planes, addresses }: ExplainSources, address: string): Promise<ExplainedAddress> {
	const bytes = parseAddress(address);
	const { state } = planes;
	const pool = state && poolsOf(state).find(({ cidr }) => prefixContains(parsePrefix(cidr), bytes));
	// Without a cluster, or while its server is unreachable, the other parts are still returned.
	const view = await Promise.resolve(addresses?.ipamAddress({ address })).catch(() => undefined);
	const { pod, namespace } = view?.attributes ?? {};
	return {
		address,
		...(pool === undefined ? {} : { pool: pool.cidr }),
		...(view?.block === undefined ? {} : { block: view.block }),
		...(view?.node === undefined ? {} : { node: view.node }),
		...(pod === undefined ? {} : { pod: namespace === undefined ? pod : `${namespace}/${pod}` }),
	};
}

function parsed<T>(read: () => T): T {
	try {
		return read();
	} catch (error) {
		if (error instanceof AddressError) throw new ControlError(400, 'bad-request', error.message);
		throw error;
	}
}
