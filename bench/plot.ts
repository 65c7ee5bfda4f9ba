import { duration, figure, typical } from './render.ts';
import type { Result, SubjectName } from './types.ts';
import { subjectNames } from './types.ts';

const width = 960;
const left = 190;
const right = 30;
const top = 70;
const rowHeight = 26;

/** Colours that colour-blind readers can distinguish (Okabe and Ito); ours is drawn larger. */
const colours: Readonly<Record<SubjectName, string>> = {
	bgpmesh: '#d55e00',
	bird: '#0072b2',
	'bird@sid': '#56b4e9',
	'bird3@sid': '#000000',
	frr: '#009e73',
	'frr@sid': '#66c7ab',
	gobgp: '#cc79a7',
	'gobgp@sid': '#e0afca',
	openbgpd: '#e69f00',
	'openbgpd@sid': '#f0e442',
	floor: '#999999',
};

interface Point {
	readonly subject: SubjectName;
	readonly seconds: number;
	readonly text: string;
	readonly beyond: boolean;
}

/**
 * A dot plot of the median times, one row per scenario, on a logarithmic axis: further left is
 * faster. Returns an SVG document.
 */
export function plot(results: readonly Result[]): string {
	const names = [...new Set(results.map(({ scenario }) => scenario))].filter((name) => !name.startsWith('idle-'));
	const rows = names
		.map((scenario) => ({ scenario, points: points(scenario, results) }))
		.filter((row) => row.points.length > 0);
	const all = rows.flatMap((row) => row.points.map(({ seconds }) => seconds));
	const first = Math.floor(Math.log10(Math.min(...all)));
	const last = Math.ceil(Math.log10(Math.max(...all)));
	const x = (seconds: number) =>
		left + ((Math.log10(seconds) - first) / Math.max(1, last - first)) * (width - left - right);
	const bottom = top + rows.length * rowHeight;
	const decades = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 40}" ` +
			'font-family="sans-serif" font-size="12">',
		`<title>Median time of each scenario and reflector</title>`,
		`<rect width="${width}" height="${bottom + 40}" fill="#ffffff"/>`,
		...legend(results),
		...decades.flatMap((seconds) => axisLine(x(seconds), bottom, seconds)),
		...rows.flatMap((row, index) => renderRow(row.scenario, row.points, top + (index + 0.5) * rowHeight, x)),
		'</svg>',
		'',
	].join('\n');
}

function points(scenario: string, results: readonly Result[]): readonly Point[] {
	return results
		.filter((result) => result.scenario === scenario)
		.flatMap((result) => {
			const run = typical(result);
			return run === undefined || run.seconds <= 0
				? []
				: [
						{
							subject: result.subject,
							seconds: run.seconds,
							text: figure(scenario, run),
							beyond: run.timedOut === true,
						},
					];
		});
}

function legend(results: readonly Result[]): string[] {
	return subjectNames
		.filter((name) => results.some(({ subject }) => subject === name))
		.flatMap((name, index) => [
			`<circle cx="${left + index * 110}" cy="26" r="${name === 'bgpmesh' ? 6 : 4.5}" fill="${colours[name]}"/>`,
			`<text x="${left + index * 110 + 10}" y="30" fill="#222222">${name}</text>`,
		]);
}

function axisLine(at: number, bottom: number, seconds: number): string[] {
	return [
		`<line x1="${at.toFixed(1)}" y1="${top - 8}" x2="${at.toFixed(1)}" y2="${bottom}" stroke="#dddddd"/>`,
		`<text x="${at.toFixed(1)}" y="${top - 14}" text-anchor="middle" fill="#555555">${label(seconds)}</text>`,
		`<text x="${at.toFixed(1)}" y="${bottom + 18}" text-anchor="middle" fill="#555555">${label(seconds)}</text>`,
	];
}

const label = (seconds: number): string => duration(seconds).replace(/\.0+ /, ' ');

function renderRow(scenario: string, row: readonly Point[], y: number, x: (seconds: number) => number): string[] {
	// Ours last, so that it is on top.
	const ordered = [...row].sort((a, b) => subjectNames.indexOf(b.subject) - subjectNames.indexOf(a.subject));
	const reach = row.map(({ seconds }) => x(seconds));
	return [
		`<text x="${left - 14}" y="${y + 4}" text-anchor="end" fill="#222222">${scenario}</text>`,
		`<line x1="${Math.min(...reach).toFixed(1)}" y1="${y}" x2="${Math.max(...reach).toFixed(1)}" ` +
			`y2="${y}" stroke="#cccccc"/>`,
		...ordered.map(({ subject, seconds, text, beyond }) => {
			const at = x(seconds).toFixed(1);
			const radius = subject === 'bgpmesh' ? 6 : 4.5;
			const fill = beyond
				? `fill="#ffffff" stroke="${colours[subject]}" stroke-width="2"`
				: `fill="${colours[subject]}"`;
			return (
				`<circle cx="${at}" cy="${y}" r="${radius}" ${fill}><title>${subject}: ` +
				`${text.replace('>', '&gt;')}</title></circle>`
			);
		}),
	];
}
