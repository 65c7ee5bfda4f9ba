import type { Bench, Layout, Measured, Scenario } from '../types.ts';
import { connectCalmly, converge, measured, problemOf, scaled } from './steps.ts';

const mesh = (sessions: number, blocks: number, scale: number): Layout => {
	const count = scaled(sessions, Math.max(scale, 0.1), 4);
	return { universe: 'block4', prefixes: count * scaled(blocks, scale, 2), sessions: count };
};

async function announceAll({ layout, tell }: Bench): Promise<void> {
	const each = Math.floor(layout.prefixes / layout.sessions);
	for (let session = 0; session < layout.sessions; session++)
		await tell(`announce ${session} ${session * each} ${each} 0`);
}

/** Each session announces its blocks and receives those of all others. */
async function converged(bench: Bench): Promise<Measured> {
	await announceAll(bench);
	await connectCalmly(bench, 0, bench.layout.sessions);
	return measured(await converge(bench, 0, bench.layout.sessions));
}

const churn = (block: number): Pick<Scenario, 'layout' | 'run'> => ({
	// One session more than there are receivers of a change: its announcer does not receive it.
	layout: (scale) => {
		const sessions = 1 + scaled(100, Math.max(scale, 0.1), 4);
		return { universe: 'block4', prefixes: sessions * scaled(1000, scale, block), sessions };
	},
	async run(bench) {
		const { sessions } = bench.layout;
		await converged(bench);
		const events = scaled(300, bench.scale, 30);
		const answer = await bench.tell(
			`churn 0 ${sessions} ${events} ${block} ${Math.min(10_000, Math.round(bench.remainingMs()))}`,
		);
		const { p50 = 0, p99 = 0, max = 0 } = answer;
		return {
			seconds: p99,
			verified: answer.verified === true,
			latencyMs: { p50: p50 * 1000, p99: p99 * 1000, max: max * 1000 },
			figures: { events: answer.events ?? 0 },
			...(answer.verified === true ? {} : { problem: problemOf(answer) }),
		};
	},
});

/** 1000 established sessions, a block each, and then nothing but keepalives. */
async function idle(bench: Bench): Promise<Measured> {
	const { sessions } = bench.layout;
	await announceAll(bench);
	await connectCalmly(bench, 0, sessions);
	await converge(bench, 0, sessions);
	await bench.tell('wait 1000');
	const seconds = Math.max(3, 30 * bench.scale);
	const before = bench.usage().cpuSeconds;
	const answer = await bench.tell(`wait ${Math.round(seconds * 1000)}`);
	const used = bench.usage().cpuSeconds - before;
	return {
		seconds: used / seconds,
		verified: answer.verified === true,
		figures: { cpuPercent: (used / seconds) * 100, observedSeconds: seconds },
	};
}

/** Scenarios of a mesh: every client announces blocks of its own. */
export const meshScenarios: readonly Scenario[] = [
	{
		name: 'mesh-100x1000',
		about: '100 clients with 1000 /26 each, to all others',
		layout: (scale) => mesh(100, 1000, scale),
		run: converged,
	},
	{
		name: 'mesh-500x10',
		about: '500 clients with 10 /26 each, to all others',
		layout: (scale) => mesh(500, 10, scale),
		run: converged,
	},
	{
		name: 'churn-1',
		about: '100 x 1000, then one prefix changes: until the last of 100 receivers has it (99th percentile)',
		...churn(1),
	},
	{
		name: 'churn-100',
		about: '100 x 1000, then 100 prefixes change: until the last of 100 receivers has them (99th percentile)',
		...churn(100),
	},
	{
		name: 'idle-1000',
		about: 'CPU of 1000 idle sessions, as a share of a core',
		layout: (scale) => mesh(1000, 1, scale),
		run: idle,
	},
];
