import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { ControlClient } from '../control/index.ts';
import type { Screen } from './render/screen.ts';

/** What `bgpmesh cleanup` removed of one plane, or would remove. */
export interface CleanedPlane {
	readonly plane: string;
	/** One line for each object. */
	readonly removed: readonly string[];
	/** Why it stopped, in the kernel's words. */
	readonly error?: string;
}

/**
 * Removes everything of this project from the kernel; is passed in, because the CLI imports the
 * control socket alone.
 */
export type CleanUp = (request: {
	readonly dryRun: boolean;
	/** `undefined`: the usual place. */
	readonly configFile: string | undefined;
}) => Promise<readonly CleanedPlane[]>;

/** What every verb takes. */
export interface GlobalOptions {
	readonly socket: string;
	readonly json: boolean;
}

/** What a verb works with. */
export interface VerbDependencies {
	readonly daemon: ControlClient;
	readonly screen: Screen;
	/** To standard output; resolves when it takes more. Short answers need not wait. */
	readonly write: (text: string) => void | Promise<void>;
	/** To standard error: what is wrong with what was asked. */
	readonly complain: (text: string) => void;
	/** Aborts at Ctrl-C. */
	readonly signal: AbortSignal;
	readonly apiServer?: RunApiServer | undefined;
	readonly cluster?: ClusterAccess | undefined;
	readonly checkHost?: CheckHost | undefined;
	readonly cleanUp?: CleanUp | undefined;
}

/** What `bgpmesh apiserver` was asked for; absent files were not named. */
export interface ApiServerRequest {
	readonly address: string;
	readonly port: number;
	readonly serviceCidr: string;
	readonly crds: boolean;
	readonly files: Readonly<Record<'data' | 'tokenFile' | 'tlsCert' | 'tlsKey' | 'kubeconfig', string | undefined>>;
}

/**
 * Runs the API server until the signal; it is passed in, because the CLI imports the control socket
 * alone.
 */
export type RunApiServer = (
	request: ApiServerRequest,
	dependencies: Pick<VerbDependencies, 'write' | 'complain' | 'signal'>,
) => Promise<Outcome>;

/** One thing that was checked on this host. */
export interface HostCheck {
	/** A kernel setting as `sysctl` writes it, or a feature: `module ipip`, `command nft`. */
	readonly name: string;
	/** `unknown`: it cannot be seen from here. */
	readonly state: 'ok' | 'wrong' | 'unknown';
	readonly found: string;
	readonly wanted: string;
	/** What does not work while it is wrong. */
	readonly breaks: string;
	readonly remedy: string;
}

/**
 * Looks at kernel settings and features of this host; needs no daemon. Is passed in, because the
 * CLI imports the control socket alone.
 */
export type CheckHost = () => Promise<readonly HostCheck[]>;

/** Which API server, and whose: as `kubectl` takes it. */
export interface ClusterOptions {
	readonly kubeconfig: string | undefined;
	readonly namespace: string | undefined;
}

export interface ApplyRequest extends ClusterOptions {
	/** Files and folders of YAML or JSON; `-` is standard input. */
	readonly files: readonly string[];
	/** The server checks all and keeps nothing. */
	readonly dryRun: boolean;
	/** Takes fields over that another manager set. */
	readonly force: boolean;
}

/** What became of one object. */
export interface Applied {
	/** `ippool.crd.projectcalico.org/pods`, as `kubectl` writes it. */
	readonly object: string;
	readonly outcome: 'created' | 'configured' | 'unchanged' | 'failed';
	/** Why it failed. */
	readonly reason?: string;
}

export interface GetRequest extends ClusterOptions {
	/** Any name of the kind: `ippools`, `ippool`, `ippools.crd.projectcalico.org`. */
	readonly kind: string;
	readonly name: string | undefined;
	readonly allNamespaces: boolean;
	readonly selector: string | undefined;
	readonly output: 'table' | 'yaml' | 'json' | 'name';
}

/** `rows` with the server's own columns, or the objects as text. */
export type GetAnswer =
	| { readonly type: 'table'; readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] }
	| { readonly type: 'text'; readonly text: string };

/** Resources in an API server; is passed in, because the CLI imports the control socket alone. */
export interface ClusterAccess {
	/**
	 * In the order of the files; one object's failure does not keep the next from being applied.
	 * @throws ClusterAccessError before anything was applied
	 */
	apply(request: ApplyRequest): AsyncIterable<Applied>;
	/** @throws ClusterAccessError */
	get(request: GetRequest): Promise<GetAnswer>;
}

/** A request to an API server failed; the message has the request and the reason. */
export class ClusterAccessError extends Error {
	override readonly name = 'ClusterAccessError';
}

/**
 * `done`: as asked; `not-as-asked`: answered, but the answer is no; usage and a missing daemon are
 * found outside of verbs.
 */
export type Outcome = 'done' | 'not-as-asked';

/** One verb: what it takes, and what it does. */
export interface Verb {
	readonly options: (yargs: Argv<GlobalOptions>) => Argv<GlobalOptions>;
	readonly run: (options: GlobalOptions, dependencies: VerbDependencies) => Promise<Outcome>;
}

/** A verb whose `run` gets the types of what `options` declares. */
export function defineVerb<A extends GlobalOptions>(verb: {
	readonly options: (yargs: Argv<GlobalOptions>) => Argv<A>;
	readonly run: (options: ArgumentsCamelCase<A>, dependencies: VerbDependencies) => Promise<Outcome>;
}): Verb {
	// The table of verbs has no types of options; yargs gives to `run` what `options` declared.
	return verb as unknown as Verb;
}

/** A verb in the table: its code is loaded when it is called. */
export interface VerbEntry {
	/** In yargs' notation: `peers [peer]`. */
	readonly command: string;
	readonly describe: string;
	readonly examples: readonly (readonly [command: string, meaning: string])[];
	readonly load: () => Promise<Verb>;
}

/** The wrong use of a verb that only the verb itself can see; exit code 2. */
export class UsageError extends Error {
	override readonly name = 'UsageError';
}
