/** What is measured: a reflector, or the null reflector that shows the limit of the load generator. */
export const subjectNames = ['bgpmesh', 'bird', 'frr', 'gobgp', 'openbgpd', 'floor'] as const;
export type SubjectName = (typeof subjectNames)[number];

/** One measured run of a scenario, as `--json` writes it. */
export interface Run {
	/** From the first byte sent to the last receiver complete; of churn the 99th percentile; of idle the CPU seconds per second. The bound where `timedOut`. */
	readonly seconds: number;
	/** Peak resident memory of the reflector's processes. */
	readonly rssMiB: number;
	/** The longest time the reflector's event loop was blocked, by its own account; `null` where it tells none. */
	readonly longestBlockMs: number | null;
	/** Every receiver had exactly the expected prefixes with exactly the expected attributes, and no session was lost. */
	readonly verified: boolean;
	/** CPU time of the reflector's processes in the whole run. */
	readonly cpuSeconds: number;
	/** The run was ended by its bound. */
	readonly timedOut?: boolean;
	/** Latencies of churn, from the first byte of a change to the last receiver. */
	readonly latencyMs?: { readonly p50: number; readonly p99: number; readonly max: number };
	/** Other figures of the scenario by name, with the unit in the name. */
	readonly figures?: Readonly<Record<string, number>>;
	/** Why a run is not verified, in the generator's words. */
	readonly problem?: string;
}

/** All runs of one scenario against one subject; the file of `--json` is an array of these. */
export interface Result {
	readonly scenario: string;
	readonly subject: SubjectName;
	readonly runs: readonly Run[];
}

/** What a subject is started with: it listens at `address`, and everybody in the local range is an iBGP client of it. */
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
	/** Prefixes that an export policy towards the clients stops, with everything inside them; none: no policy at all. */
	readonly denied: readonly string[];
	/** An own empty folder for configuration, sockets and logs. */
	readonly folder: string;
}

/** How a subject is started. */
export interface Launch {
	readonly command: string;
	readonly args: readonly string[];
	/** Files to write before, by name inside the folder. */
	readonly files: Readonly<Record<string, string>>;
	/** Mode of these files. */
	readonly mode?: number;
	/** Run as nobody where we are root. */
	readonly unprivileged?: boolean;
}

/** One reflector that can be measured. */
export interface Subject {
	readonly name: SubjectName;
	/** Why it cannot be measured here, `undefined` where it can. */
	missing(): string | undefined;
	launch(options: SubjectOptions): Launch;
	/** The longest block of its event loop so far in ms, where it tells. */
	longestBlockMs?(options: SubjectOptions): Promise<number | null>;
}

/** How large a scenario is, after scaling. */
export interface Layout {
	readonly universe: 'table4' | 'table6' | 'block4' | 'block6';
	readonly prefixes: number;
	readonly sessions: number;
	readonly holdTimeSeconds?: number;
	readonly denied?: readonly string[];
}

/** What a scenario found out. */
export type Measured = Omit<Run, 'rssMiB' | 'longestBlockMs' | 'cpuSeconds'>;

/** One row of the table. */
export interface Scenario {
	readonly name: string;
	/** Scenarios that are chosen together, by this name too. */
	readonly group?: string;
	readonly about: string;
	/** Only a reflector with a table passes: there is policy, or a choice between paths. */
	readonly beyondFloor?: boolean;
	/** `scale` 1 is the full size. */
	layout(scale: number): Layout;
	run(bench: Bench): Promise<Measured>;
}

/** What a scenario acts with: the generator, connected to a subject that listens. */
export interface Bench {
	readonly layout: Layout;
	readonly scale: number;
	/** Left of the bound of this run. */
	remainingMs(): number;
	/** Sends one command to the generator. */
	tell(command: string): Promise<Answer>;
	/** CPU seconds and resident bytes of the subject now. */
	usage(): { readonly cpuSeconds: number; readonly rssBytes: number };
}

/** What the generator answers; commands that only prepare answer `done` alone. */
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
