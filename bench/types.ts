import type { PeerAge } from '../lab/debian.ts';

/**
 * The measured subjects; `@sid`: of Debian unstable, in the folder of `npm run setup:peers`. A
 * reflector, or the null reflector that shows the limit of the load generator.
 */
export const subjectNames = [
	'bgpmesh',
	'bird',
	'bird@sid',
	'bird3@sid',
	'frr',
	'frr@sid',
	'gobgp',
	'gobgp@sid',
	'openbgpd',
	'openbgpd@sid',
	'floor',
] as const;
export type SubjectName = (typeof subjectNames)[number];

/** One measured run of a scenario, as `--json` writes it. */
export interface Run {
	/**
	 * From the first byte sent to the last receiver complete; of churn the 99th percentile; of idle
	 * the CPU seconds per second. The bound where `timedOut`.
	 */
	readonly seconds: number;
	/** Peak resident memory of the reflector's processes. */
	readonly rssMiB: number;
	/**
	 * The longest block of the reflector's event loop, as it reports it; `null` if it reports none.
	 */
	readonly longestBlockMs: number | null;
	/**
	 * Every receiver had exactly the expected prefixes with exactly the expected attributes, and no
	 * session was lost.
	 */
	readonly verified: boolean;
	/** CPU time of the reflector's processes in the whole run. */
	readonly cpuSeconds: number;
	/** The run was ended by its bound. */
	readonly timedOut?: boolean;
	/** Latencies of churn, from the first byte of a change to the last receiver. */
	readonly latencyMs?: { readonly p50: number; readonly p99: number; readonly max: number };
	/** Other figures of the scenario by name, with the unit in the name. */
	readonly figures?: Readonly<Record<string, number>>;
	/** The reason why a run is not verified, in the generator's words. */
	readonly problem?: string;
}

/** All runs of one scenario against one subject; the file of `--json` is an array of these. */
export interface Result {
	readonly scenario: string;
	readonly subject: SubjectName;
	readonly runs: readonly Run[];
}

/**
 * The parameters of a subject: it listens at `address`, and each address of the local range is an
 * iBGP client of it.
 */
export interface SubjectOptions {
	/** An address of the loopback network. */
	readonly address: string;
	readonly port: number;
	readonly asNumber: number;
	readonly clusterId: string;
	/** The clients, each with one session. */
	readonly clients: readonly string[];
	/** Contains the clients. */
	readonly clientRange: string;
	readonly holdTimeSeconds: number;
	/** The family of the prefixes of the scenario; clients offer both. */
	readonly family: 'ipv4' | 'ipv6';
	/**
	 * Prefixes that an export policy towards the clients rejects, with all more specific ones;
	 * none: no policy at all.
	 */
	readonly denied: readonly string[];
	/** Its own empty folder for configuration, sockets and logs. */
	readonly folder: string;
}

/** The start command of a subject. */
export interface Launch {
	readonly command: string;
	readonly args: readonly string[];
	/** Files to write before, by name inside the folder. */
	readonly files: Readonly<Record<string, string>>;
	/** Mode of these files. */
	readonly mode?: number;
	/** Run without privileges if the benchmark runs as root. */
	readonly unprivileged?: boolean;
	/** Folders outside of its own that must exist, as its service would create them. */
	readonly folders?: readonly string[];
}

/** Bytes of the attribute blocks that routes use, and of the memory kept for blocks. */
export interface AttributeMemory {
	readonly heldBytes: number;
	readonly residentBytes: number;
}

/** One reflector that can be measured. */
export interface Subject {
	readonly name: SubjectName;
	/** Absent: a program of the host, or ours. */
	readonly age?: PeerAge;
	/** The reason why it cannot be measured here, `undefined` if it can. */
	missing(): string | undefined;
	launch(options: SubjectOptions): Launch;
	/** The longest block of its event loop so far in ms, if it reports one. */
	longestBlockMs?(options: SubjectOptions): Promise<number | null>;
	/** Memory of its attribute blocks, if it reports it. */
	attributeMemory?(options: SubjectOptions): Promise<AttributeMemory | null>;
}

/** The size of a scenario, after scaling. */
export interface Layout {
	readonly universe: 'table4' | 'table6' | 'block4' | 'block6';
	readonly prefixes: number;
	readonly sessions: number;
	readonly holdTimeSeconds?: number;
	readonly denied?: readonly string[];
}

/** The result of a scenario. */
export type Measured = Omit<Run, 'rssMiB' | 'longestBlockMs' | 'cpuSeconds'>;

/** One row of the table. */
export interface Scenario {
	readonly name: string;
	/** Scenarios that can also be selected together by this name. */
	readonly group?: string;
	readonly about: string;
	/** Only a reflector with a table passes: there is policy, or a choice between paths. */
	readonly beyondFloor?: boolean;
	/** `scale` 1 is the full size. */
	layout(scale: number): Layout;
	run(bench: Bench): Promise<Measured>;
}

/** The tools of a scenario: the generator, connected to a listening subject. */
export interface Bench {
	readonly layout: Layout;
	readonly scale: number;
	/** Remaining time of this run. */
	remainingMs(): number;
	/** Sends one command to the generator. */
	tell(command: string): Promise<Answer>;
	/** From the start of the subject's process until it listened. */
	readonly start: { readonly seconds: number; readonly cpuSeconds: number };
	/** CPU seconds and resident bytes of the subject now. */
	usage(): { readonly cpuSeconds: number; readonly rssBytes: number };
	/** `null`: the subject does not report it. */
	attributeMemory(): Promise<AttributeMemory | null>;
}

/** The generator's response; commands that only prepare return only `done`. */
export interface Answer {
	readonly done: boolean;
	readonly seconds?: number;
	readonly verified?: boolean;
	readonly missing?: number;
	readonly wrong?: number;
	readonly transient?: number;
	readonly echoes?: number;
	readonly established?: number;
	readonly lost?: number;
	readonly retries?: number;
	readonly updates?: number;
	readonly bytes?: number;
	readonly longestSilence?: number;
	/** CPU seconds of the generator in this step. */
	readonly cpu?: number;
	readonly firstProblem?: string;
	readonly firstLoss?: string;
	readonly events?: number;
	readonly p50?: number;
	readonly p99?: number;
	readonly max?: number;
}
