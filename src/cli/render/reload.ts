import type { ReloadChangeView, ReloadView } from '../../control/index.ts';
import { count, paint, type Screen, type Style, tame } from './screen.ts';
import { type Column, table } from './table.ts';

const effects: Readonly<Record<ReloadChangeView['effect'], { readonly text: string; readonly style: Style }>> = {
	live: { text: 'at once', style: 'plain' },
	routes: { text: 'routes evaluated again, no reset', style: 'plain' },
	reset: { text: 'resets the session', style: 'odd' },
	restart: { text: 'needs a restart of the daemon', style: 'bad' },
};
const signs = { added: '+', removed: '-', changed: '~' } as const;

interface Line {
	readonly sign: string;
	readonly name: string;
	readonly key: string;
	readonly values: string;
	readonly effect: ReloadChangeView['effect'];
	readonly why: string | undefined;
}

const columns: readonly Column<Line>[] = [
	{ title: '', cell: ({ sign }) => sign },
	{ title: 'WHAT', cell: ({ name }) => name },
	{ title: 'KEY', cell: ({ key }) => key },
	{ title: 'FROM → TO', cell: ({ values }) => values },
	{ title: 'EFFECT', cell: ({ effect, why }) => ({ text: why ?? effects[effect].text, style: effects[effect].style }) },
];

/** What a reload did, or would do. */
export function renderReload(screen: Screen, { file, dryRun, changes, resets }: ReloadView): string {
	if (changes.length === 0)
		return `${tame(file)} matches the running configuration: nothing ${dryRun ? 'would change' : 'changed'}.\n`;
	const number = changes.length === 1 ? '1 thing' : `${changes.length} things`;
	const restart = changes.some(({ effect }) => effect === 'restart');
	return [
		`${tame(file)} ${dryRun ? 'would change' : 'changed'} ${number}:\n\n`,
		table(screen, columns, changes.flatMap(lines)),
		'\n',
		resets.length === 0
			? `No session ${dryRun ? 'would be' : 'was'} reset.\n`
			: `${paint(screen, 'odd', `${count(resets.length, 'session')} ${dryRun ? 'would be reset' : 'reset'}`)}: ` +
				`${resets.map(tame).join(', ')}\n`,
		restart
			? `${paint(screen, 'bad', 'Some of it holds only after a restart of the daemon')}: systemctl restart bgpmeshd\n`
			: '',
	].join('');
}

function lines({ change, what, name, effect, keys }: ReloadChangeView): Line[] {
	const sign = signs[change];
	const full = what === 'setting' ? name : `${what} ${name}`;
	if (keys.length === 0) {
		const why = change === 'removed' && (what === 'peer' || what === 'range') ? 'ends the session' : undefined;
		return [{ sign, name: full, key: '', values: '', effect, why }];
	}
	return keys.map(({ key, from, to, effect: own, why }, index) => ({
		sign: index === 0 ? sign : '',
		name: index === 0 ? full : '',
		key: what === 'setting' ? '' : key,
		values: `${value(from)} → ${value(to)}`,
		effect: own,
		why,
	}));
}

function value(given: unknown): string {
	if (given === undefined || given === null) return '(none)';
	const text = typeof given === 'string' ? given : JSON.stringify(given);
	return text.length > 32 ? `${text.slice(0, 31)}…` : text;
}
