import type { FibRouteView, FibView } from '../../core/index.ts';
import { inOrder } from './order.ts';
import { count, paint, type Screen, type Style } from './screen.ts';
import { type Column, table } from './table.ts';

const styles: Readonly<Record<FibRouteView['state'], Style>> = { installed: 'good', missing: 'odd', failed: 'bad', extra: 'odd', skipped: 'dim' };
const signs: Readonly<Record<FibRouteView['state'], string>> = { installed: ' ', missing: '+', failed: '!', extra: '-', skipped: ' ' };

const columns: readonly Column<FibRouteView>[] = [
	{ title: 'PREFIX', cell: ({ prefix }) => prefix },
	{ title: 'VIA', cell: ({ type, via }) => (type === 'blackhole' ? 'blackhole' : via) },
	{ title: 'DEVICE', cell: ({ device, onlink }) => (device === undefined ? undefined : `${device}${onlink ? ' onlink' : ''}`) },
	{ title: 'METRIC', align: 'right', cell: ({ metric }) => (metric === 0 ? undefined : metric) },
	{ title: 'STATE', cell: ({ state }) => ({ text: state, style: styles[state] }) },
	{ title: 'REASON', cell: ({ reason }) => reason },
];

/** Our routes in the kernel and those that should be there. */
export function renderFib(screen: Screen, view: FibView): string {
	if (!view.enabled) return 'The FIB is off (fib.enabled: false): nothing of the kernel is touched.\n';
	const routes = view.routes.length === 0 ? 'No routes.\n' : table(screen, columns, inOrder(view.routes));
	return `${routes}\n${summary(screen, view)}`;
}

/** Only what differs: `+` is missing in the kernel, `-` is there and not wanted, `!` was refused. */
export function renderFibDiff(screen: Screen, view: FibView): string {
	const different = differences(view);
	const sign: Column<FibRouteView> = { title: '', cell: ({ state }) => ({ text: signs[state], style: styles[state] }) };
	const routes = different.length === 0 ? 'The kernel has what it should have.\n' : table(screen, [sign, ...columns], inOrder(different));
	return `${routes}\n${summary(screen, view)}`;
}

/** Routes that are not as they should be. */
export function differences({ routes }: FibView): readonly FibRouteView[] {
	return routes.filter(({ state }) => state !== 'installed' && state !== 'skipped');
}

function summary(screen: Screen, { routes, routeProtocol, inSync, waitingFor, refusal }: FibView): string {
	const states = (['installed', 'missing', 'failed', 'extra', 'skipped'] as const).map((state) => ({
		state,
		number: routes.filter((route) => route.state === state).length,
	}));
	const numbers = states.filter(({ state, number }) => state === 'installed' || number > 0).map(({ state, number }) => `${number} ${state}`);
	const sync = inSync ? 'in sync' : paint(screen, 'odd', `not in sync yet, waiting for ${waitingFor.join(', ') || 'nothing'}; old routes are kept`);
	const refused = refusal === undefined ? '' : `${paint(screen, 'bad', 'Nothing is written')}: ${refusal.reason}\nWhat to do: ${refusal.hint}\n`;
	return `${refused}${count(routes.length, 'route')}: ${numbers.join(', ')}; route protocol ${routeProtocol}; ${sync}\n`;
}
