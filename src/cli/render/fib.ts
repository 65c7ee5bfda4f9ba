import type { FibRouteView, FibView } from '../../core/index.ts';
import { inOrder } from './order.ts';
import { count, type ListScreen, paint, type Screen, type Style } from './screen.ts';
import { type Column, TableWriter } from './table.ts';

const styles: Readonly<Record<FibRouteView['state'], Style>> = {
	installed: 'good',
	missing: 'odd',
	failed: 'bad',
	extra: 'odd',
	skipped: 'dim',
};
const signs: Readonly<Record<FibRouteView['state'], string>> = {
	installed: ' ',
	missing: '+',
	failed: '!',
	extra: '-',
	skipped: ' ',
};

const columns: readonly Column<FibRouteView>[] = [
	{ title: 'PREFIX', cell: ({ prefix }) => prefix },
	{ title: 'VIA', cell: ({ type, via }) => (type === 'blackhole' ? 'blackhole' : via) },
	{
		title: 'DEVICE',
		cell: ({ device, onlink }) => (device === undefined ? undefined : `${device}${onlink ? ' onlink' : ''}`),
	},
	{ title: 'METRIC', align: 'right', cell: ({ metric }) => (metric === 0 ? undefined : metric) },
	{ title: 'STATE', cell: ({ state }) => ({ text: state, style: styles[state] }) },
	{ title: 'REASON', cell: ({ reason }) => reason },
];

type Rest = Omit<FibView, 'routes'>;

/** Our routes in the kernel and those that should be there. */
export function fibScreen(screen: Screen): ListScreen<FibRouteView, Rest> {
	const rows = new TableWriter(screen, columns, inOrder);
	const counts = new Counts();
	return {
		add(route) {
			counts.add(route);
			return rows.add(route);
		},
		end(rest) {
			if (!rest.enabled) return 'The FIB is off (fib.enabled: false): nothing of the kernel is touched.\n';
			const routes = rows.count === 0 ? 'No routes.\n' : rows.end();
			return `${routes}\n${summary(screen, counts, rest)}`;
		},
	};
}

/**
 * Only what differs: `+` is missing in the kernel, `-` is there and not wanted, `!` was refused.
 */
export function fibDiffScreen(screen: Screen): ListScreen<FibRouteView, Rest> {
	const sign: Column<FibRouteView> = { title: '', cell: ({ state }) => ({ text: signs[state], style: styles[state] }) };
	const rows = new TableWriter(screen, [sign, ...columns], inOrder);
	const counts = new Counts();
	return {
		add(route) {
			counts.add(route);
			return isDifferent(route) ? rows.add(route) : '';
		},
		end(rest) {
			const routes = rows.count === 0 ? 'The kernel has what it should have.\n' : rows.end();
			return `${routes}\n${summary(screen, counts, rest)}`;
		},
	};
}

/** Is the route not as it should be? */
export const isDifferent = ({ state }: FibRouteView): boolean => state !== 'installed' && state !== 'skipped';

/** The name of a routing table, as `ip route` writes it. */
export const tableText = (table: number): string => (table === 254 ? 'main' : String(table));

/** Routes by state. */
class Counts {
	readonly #counts = new Map<FibRouteView['state'], number>();
	total = 0;

	add({ state }: FibRouteView): void {
		this.total++;
		this.#counts.set(state, this.of(state) + 1);
	}

	of(state: FibRouteView['state']): number {
		return this.#counts.get(state) ?? 0;
	}
}

function summary(screen: Screen, counts: Counts, { routeProtocol, table, inSync, waitingFor, refusal }: Rest): string {
	const states = (['installed', 'missing', 'failed', 'extra', 'skipped'] as const).map((state) => ({
		state,
		number: counts.of(state),
	}));
	const numbers = states
		.filter(({ state, number }) => state === 'installed' || number > 0)
		.map(({ state, number }) => `${number} ${state}`);
	const sync = inSync
		? 'in sync'
		: waitingFor.length === 0 && refusal === undefined
			? paint(screen, 'bad', `not in sync: the kernel refused ${count(counts.of('failed'), 'route')}`)
			: paint(screen, 'odd', `not in sync yet, waiting for ${waitingFor.join(', ') || 'nothing'}; old routes are kept`);
	const refused =
		refusal === undefined
			? ''
			: `${paint(screen, 'bad', 'Nothing is written')}: ${refusal.reason}\nWhat to do: ${refusal.hint}\n`;
	const marks = `route protocol ${routeProtocol}, table ${tableText(table)}`;
	return `${refused}${count(counts.total, 'route')}: ${numbers.join(', ')}; ${marks}; ${sync}\n`;
}
