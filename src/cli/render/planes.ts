import type { PlaneDifference, PlaneView } from '../../core/index.ts';
import { paint, type Screen, type Style } from './screen.ts';

const signs: Readonly<Record<PlaneDifference['state'], { readonly sign: string; readonly style: Style }>> = {
	missing: { sign: '+', style: 'odd' },
	failed: { sign: '!', style: 'bad' },
	extra: { sign: '-', style: 'odd' },
};

/** The planes, routes aside, whose kernel state differs from the desired state. */
export function planeDifferences(planes: readonly PlaneView[]): readonly PlaneView[] {
	return planes.filter(
		({ name, differences, failures }) => name !== 'routes' && differences.length + failures.length > 0,
	);
}

/**
 * One line for each object that differs: `+` is missing, `-` is not desired, `!` was refused; with
 * the kernel's words.
 */
export function renderPlaneDiff(screen: Screen, planes: readonly PlaneView[]): string {
	return planes
		.map(({ name, differences, failures }) => {
			const reasons = new Map(failures.map(({ subject, reason }) => [subject, reason]));
			const listed = new Set(differences.map(({ subject }) => subject));
			const lines = [
				...differences,
				...failures
					.filter(({ subject }) => !listed.has(subject))
					.map(({ subject }) => ({ subject, state: 'failed' as const })),
			].map(({ subject, state }) => {
				const reason = reasons.get(subject);
				const { sign, style } = signs[state];
				return `${paint(screen, style, sign)} ${subject}${reason === undefined ? '' : `: ${reason}`}\n`;
			});
			return `\nPlane ${name}\n${lines.join('')}`;
		})
		.join('');
}
