import type { Answer, AttributeMemory, Bench, Layout, Measured, Scenario } from '../types.ts';
import { connect, connectCalmly, converge, measured, scaled } from './steps.ts';

type Universe = Layout['universe'];

/** Prefix lists of a typical operator: 16 of /16, three large ones. */
const denied = [
	...Array.from({ length: 16 }, (_, index) => `16.${index * 2 + 1}.0.0/16`),
	'20.0.0.0/8',
	'24.0.0.0/9',
	'29.16.0.0/12',
];

async function forbid({ layout, tell }: Bench): Promise<void> {
	for (const prefix of layout.denied ?? []) await tell(`deny ${prefix.replace('/', ' ')}`);
}

/** One client announces a table, all others receive it. */
async function feed(bench: Bench): Promise<Measured> {
	const { prefixes, sessions } = bench.layout;
	await forbid(bench);
	await bench.tell(`announce 0 0 ${prefixes} 0`);
	await connectCalmly(bench, 0, sessions);
	return measured(await converge(bench, 0, sessions));
}

const fullTable = (universe: Universe, scale: number): Layout => ({
	universe,
	prefixes: scaled(1_000_000, scale, 17),
	sessions: 2,
});
const fanOut = (universe: Universe, scale: number): Layout => ({
	universe,
	prefixes: scaled(100_000, scale, 17),
	sessions: 1 + scaled(100, Math.max(scale, 0.1), 3),
});

/**
 * A table of which the first announcement is mostly paid in code that runs for the first time:
 * withdrawn and announced again, it shows the share. The time of the start is a figure of its own.
 */
async function smallTable(bench: Bench): Promise<Measured> {
	const { prefixes, sessions } = bench.layout;
	const first = await feed(bench);
	await bench.tell(`withdraw 0 0 ${prefixes}`);
	await converge(bench, 0, sessions);
	await bench.tell(`announce 0 0 ${prefixes} 1`);
	const again = await converge(bench, 0, sessions);
	return {
		...first,
		figures: {
			...first.figures,
			startSeconds: bench.start.seconds,
			startCpuSeconds: bench.start.cpuSeconds,
			againSeconds: again.seconds ?? 0,
		},
	};
}

/** Scenarios with a table shaped like the Internet's. */
export const tableScenarios: readonly Scenario[] = [
	{
		name: 'full-table',
		about: '1M prefixes from one client to another',
		layout: (scale) => fullTable('table4', scale),
		run: feed,
	},
	{
		name: 'small-table',
		about: '50k prefixes from one client to another, after a start; once more when withdrawn',
		layout: (scale) => ({ ...fullTable('table4', scale), prefixes: scaled(50_000, scale, 17) }),
		run: smallTable,
	},
	{
		name: 'fan-out',
		about: '100k prefixes from one client to 100',
		layout: (scale) => fanOut('table4', scale),
		run: feed,
	},
	{
		name: 'withdraw',
		about: 'the 1M prefixes withdrawn',
		layout: (scale) => fullTable('table4', scale),
		async run(bench) {
			const { prefixes, sessions } = bench.layout;
			await feed(bench);
			await bench.tell(`withdraw 0 0 ${prefixes}`);
			return measured(await converge(bench, 0, sessions));
		},
	},
	{
		name: 'late-join',
		about: 'one more client connects and gets the 1M prefixes',
		layout: (scale) => ({ ...fullTable('table4', scale), sessions: 3 }),
		async run(bench) {
			await bench.tell(`announce 0 0 ${bench.layout.prefixes} 0`);
			await connect(bench, 0, 2);
			await converge(bench, 0, 2);
			await connect(bench, 2, 1);
			return measured(await converge(bench, 2, 1, { sinceConnect: true }));
		},
	},
	{
		name: 'reconnect',
		about: '100 clients connect again at once and get 100k prefixes',
		layout: (scale) => fanOut('table4', scale),
		async run(bench) {
			const receivers = bench.layout.sessions - 1;
			await feed(bench);
			await bench.tell(`close 1 ${receivers}`);
			await bench.tell('wait 200');
			const { retries, seconds } = await connect(bench, 1, receivers);
			return measured(await converge(bench, 1, receivers, { sinceConnect: true }), {
				retries: retries ?? 0,
				establishedSeconds: seconds ?? 0,
			});
		},
	},
	{
		name: 'stalled-peer',
		about: 'fan-out to 99 clients while one more reads nothing',
		layout: (scale) => fanOut('table4', scale),
		async run(bench) {
			const { prefixes, sessions } = bench.layout;
			const last = sessions - 1;
			await bench.tell(`announce 0 0 ${prefixes} 0`);
			await connectCalmly(bench, 0, sessions);
			await bench.tell(`stall ${last} 1`);
			const first = await converge(bench, 0, last);
			// Everything changes twice while the stalled one sleeps; then it must still end with
			// exactly the last state.
			for (const variant of [1, 2]) {
				await bench.tell(`announce 0 0 ${prefixes} ${variant}`);
				await converge(bench, 0, last);
			}
			await bench.tell(`stall ${last} 0`);
			const caughtUp = await converge(bench, 0, sessions);
			return measured(first, { catchUpSeconds: caughtUp.seconds ?? 0 });
		},
	},
	{
		name: 'policy',
		group: 'policy',
		beyondFloor: true,
		about: 'full table through an export policy of 19 prefixes',
		layout: (scale) => ({ ...fullTable('table4', scale), denied }),
		run: feed,
	},
	{
		name: 'policy-fan-out',
		group: 'policy',
		beyondFloor: true,
		about: 'fan-out through an export policy of 19 prefixes',
		layout: (scale) => ({ ...fanOut('table4', scale), denied }),
		run: feed,
	},
	{
		name: 'ipv6',
		group: 'ipv6',
		about: 'full table of IPv6',
		layout: (scale) => fullTable('table6', scale),
		run: feed,
	},
	{
		name: 'ipv6-fan-out',
		group: 'ipv6',
		about: 'fan-out of IPv6',
		layout: (scale) => fanOut('table6', scale),
		run: feed,
	},
	{
		name: 'memory',
		group: 'memory',
		about: 'resident memory with 1M routes from one feed',
		layout: memoryLayout,
		run: (bench) => memory(bench, 1),
	},
	{
		name: 'memory-three-feeds',
		group: 'memory',
		beyondFloor: true,
		about: 'resident memory with 1M routes from each of three feeds',
		layout: memoryLayout,
		run: (bench) => memory(bench, 3),
	},
	{
		name: 'memory-churn',
		group: 'memory',
		beyondFloor: true,
		about: 'resident memory while one feed changes the length of its attributes 200 times, and after withdrawal',
		layout: (scale) => ({ universe: 'table4', prefixes: scaled(10_000, scale, 1000), sessions: 2 }),
		run: memoryChurn,
	},
];

/**
 * Sessions 0 to 2 feed, session 3 receives; one more position than the table has indicates that a
 * feed was processed.
 */
function memoryLayout(scale: number): Layout {
	return { universe: 'table4', prefixes: scaled(1_000_000, scale, 17), sessions: 4 };
}

async function memory(bench: Bench, feeds: number): Promise<Measured> {
	const table = bench.layout.prefixes - 3;
	await connect(bench, 0, 4);
	await bench.tell('wait 500');
	const before = bench.usage().rssBytes;
	await bench.tell(`announce 0 0 ${table} 0`);
	const first = await converge(bench, 0, 4);
	for (let feed = 1; feed < feeds; feed++) {
		await bench.tell(`announce ${feed} 0 ${table} 0 backup`);
		await bench.tell(`announce ${feed} ${table + feed} 1 0`);
		await converge(bench, 0, 4);
	}
	await bench.tell('wait 1000');
	const grown = bench.usage().rssBytes - before;
	return measured(first, {
		bytesPerPrefix: grown / table,
		bytesPerPath: grown / (table * feeds),
		idleMiB: before / 2 ** 20,
	});
}

const churnSteps = 200;
/** Steps at which the attribute memory is read: queries have a cost of their own. */
const stepsBetweenReads = 50;
const mebibytes = (bytes: number) => bytes / 2 ** 20;

/** The table keeps its size, while no length of attributes repeats. */
async function memoryChurn(bench: Bench): Promise<Measured> {
	const { prefixes } = bench.layout;
	const withdraw = async (): Promise<Answer> => {
		await bench.tell(`withdraw 0 0 ${prefixes}`);
		const answer = await converge(bench, 0, 2);
		await bench.tell('wait 3000');
		return answer;
	};
	await connect(bench, 0, 2);
	await bench.attributeMemory();
	await bench.tell('wait 500');
	const idle = bench.usage().rssBytes;
	// The first table costs code and buffers that are used again: measured on its own.
	await bench.tell(`announce 0 0 ${prefixes} 0`);
	const first = await converge(bench, 0, 2);
	await withdraw();
	const warm = bench.usage().rssBytes;
	let most = warm;
	const attributes: AttributeMemory[] = [];
	// From long to short: a free block never has the size that is needed next.
	for (let padding = churnSteps; padding > 0; padding--) {
		await bench.tell(`padding ${padding}`);
		await bench.tell(`announce 0 0 ${prefixes} ${padding}`);
		await converge(bench, 0, 2);
		most = Math.max(most, bench.usage().rssBytes);
		const memory = padding % stepsBetweenReads === 0 || padding === 1 ? await bench.attributeMemory() : null;
		if (memory !== null) attributes.push(memory);
	}
	await withdraw();
	const { rssBytes } = bench.usage();
	return measured(first, {
		idleMiB: mebibytes(idle),
		afterFirstTableMiB: mebibytes(warm - idle),
		grownMiB: mebibytes(most - idle),
		afterWithdrawalMiB: mebibytes(rssBytes - idle),
		churnMiB: mebibytes(most - warm),
		churnLeftMiB: mebibytes(rssBytes - warm),
		...attributeFigures(attributes, await bench.attributeMemory()),
	});
}

/** Held and resident bytes of attribute blocks at the largest reading, and after the withdrawal. */
function attributeFigures(
	read: readonly AttributeMemory[],
	last: AttributeMemory | null,
): NonNullable<Measured['figures']> {
	const most = read.toSorted((left, right) => right.residentBytes - left.residentBytes)[0];
	if (most === undefined || last === null) return {};
	return {
		attributesHeldMiB: mebibytes(most.heldBytes),
		attributesResidentMiB: mebibytes(most.residentBytes),
		residentPerHeld: most.residentBytes / most.heldBytes,
		attributesLeftMiB: mebibytes(last.residentBytes),
	};
}
