import type { Bench, Layout, Measured, Scenario } from '../types.ts';
import { connect, converge, measured, scaled } from './steps.ts';

const routesEach = 5;
/** Short, so that a session with a late keepalive is lost during the measurement. */
const holdTimeSeconds = 30;

const layout = (scale: number): Layout => {
	const sessions = scaled(5000, scale, 10);
	return { universe: 'block4', prefixes: sessions * routesEach, sessions, holdTimeSeconds };
};

/**
 * All sessions connect at once, each announces its routes as soon as it is established; until all
 * have all.
 */
async function storm(bench: Bench): Promise<Measured> {
	const { sessions } = bench.layout;
	for (let session = 0; session < sessions; session++)
		await bench.tell(`announce ${session} ${session * routesEach} ${routesEach} 0`);
	const up = await connect(bench, 0, sessions, { send: true });
	const answer = await converge(bench, 0, sessions, { sinceConnect: true });
	return measured(answer, { sessions, establishedSeconds: up.seconds ?? 0, retries: up.retries ?? 0 });
}

/** No session may be lost for longer than the hold time. */
async function watch(bench: Bench, result: Measured): Promise<Measured> {
	const watchedSeconds = bench.scale >= 1 ? holdTimeSeconds + 5 : 3;
	const after = await bench.tell(`wait ${watchedSeconds * 1000}`);
	return {
		...result,
		verified: result.verified && after.verified === true,
		figures: {
			...result.figures,
			watchedSeconds,
			sessionsLost: after.lost ?? 0,
			longestSilenceSeconds: after.longestSilence ?? 0,
		},
		...(after.firstLoss === undefined ? {} : { problem: after.firstLoss }),
	};
}

/** Scenarios with very many sessions. */
export const stormScenarios: readonly Scenario[] = [
	{
		name: 'sessions-5000',
		group: 'sessions-5000',
		about: '5000 sessions connect at once, 5 routes each, until all have all',
		layout,
		run: async (bench) => watch(bench, await storm(bench)),
	},
	{
		name: 'sessions-5000-reconnect',
		group: 'sessions-5000',
		about: 'the same after all 5000 were cut at once',
		layout,
		async run(bench) {
			await storm(bench);
			await bench.tell(`close 0 ${bench.layout.sessions}`);
			return watch(bench, await storm(bench));
		},
	},
];
