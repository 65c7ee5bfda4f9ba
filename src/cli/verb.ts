import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { ControlClient } from '../control/index.ts';
import type { Screen } from './render/screen.ts';

/** What every verb takes. */
export interface GlobalOptions {
	readonly socket: string;
	readonly json: boolean;
}

/** What a verb works with. */
export interface Surroundings {
	readonly daemon: ControlClient;
	readonly screen: Screen;
	/** To standard output. */
	readonly write: (text: string) => void;
	/** To standard error: what is wrong with what was asked. */
	readonly complain: (text: string) => void;
	/** Aborts at Ctrl-C. */
	readonly signal: AbortSignal;
	readonly apiServer?: RunApiServer | undefined;
	readonly cluster?: ClusterAccess | undefined;
}

/** What `bgpmesh apiserver` was asked for; absent files were not named. */
export interface ApiServerRequest {
	readonly address: string;
	readonly port: number;
	readonly serviceCidr: string;
	readonly crds: boolean;
	readonly files: Readonly<Record<'data' | 'tokenFile' | 'tlsCert' | 'tlsKey' | 'kubeconfig', string | undefined>>;
}

/** Runs the API server until the signal; it lives outside of this room, which knows the control socket alone. */
export type RunApiServer = (request: ApiServerRequest, surroundings: Pick<Surroundings, 'write' | 'complain' | 'signal'>) => Promise<Outcome>;

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

/** Resources in an API server; lives outside of this room, which knows the control socket alone. */
export interface ClusterAccess {
	/** In the order of the files; one object's failure does not keep the next from being applied. @throws ClusterAccessError before anything was applied */
	apply(request: ApplyRequest): AsyncIterable<Applied>;
	/** @throws ClusterAccessError */
	get(request: GetRequest): Promise<GetAnswer>;
}

/** What was asked of an API server can't be had; the message says what and why. */
export class ClusterAccessError extends Error {
	override readonly name = 'ClusterAccessError';
}

/** `done`: as asked; `not-as-asked`: answered, but the answer is no; usage and a missing daemon are found outside of verbs. */
export type Outcome = 'done' | 'not-as-asked';

/** One verb: what it takes, and what it does. */
export interface Verb {
	readonly options: (yargs: Argv<GlobalOptions>) => Argv<GlobalOptions>;
	readonly run: (options: GlobalOptions, surroundings: Surroundings) => Promise<Outcome>;
}

/** A verb whose `run` gets the types of what `options` declares. */
export function defineVerb<A extends GlobalOptions>(verb: {
	readonly options: (yargs: Argv<GlobalOptions>) => Argv<A>;
	readonly run: (options: ArgumentsCamelCase<A>, surroundings: Surroundings) => Promise<Outcome>;
}): Verb {
	// The table of verbs knows none of them; yargs gives to `run` what `options` declared.
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
