import type { Clock, Logger, Random } from '../../core/index.ts';
import type { JsonObject } from '../../json/index.ts';
import type { Registry, ResourceType } from '../resources/index.ts';
import type { Store } from '../store/index.ts';

/** The authenticated user. */
export interface User {
	readonly name: string;
	readonly uid: string;
	readonly groups: readonly string[];
}

/** A request with its body, not yet parsed. */
export interface Request {
	readonly method: string;
	/** Decoded segments of the path. */
	readonly path: readonly string[];
	readonly query: URLSearchParams;
	readonly accept: string;
	readonly contentType: string;
	readonly userAgent: string;
	readonly body: Buffer;
	readonly user: User;
	/** Aborted when the client disconnects or the server stops. */
	readonly signal: AbortSignal;
}

/** The target of a request. */
export interface Target {
	readonly type: ResourceType;
	readonly namespace: string;
	/** `''`: the collection. */
	readonly name: string;
	readonly subresource: string;
}

/** A complete response, or a stream of lines that ends at disconnection or timeout. */
export type Answer =
	| { readonly code: number; readonly body: JsonObject; readonly warnings?: readonly string[] }
	| {
			readonly code: number;
			readonly text: string;
			readonly contentType?: string;
			readonly warnings?: readonly string[];
	  }
	| {
			readonly code: number;
			readonly bytes: Uint8Array;
			readonly contentType: string;
			readonly warnings?: readonly string[];
	  }
	| {
			readonly code: number;
			readonly stream: (write: (chunk: string | Uint8Array) => boolean, end: () => void) => void;
	  };

/** Dependencies of all handlers. */
export interface Api {
	readonly store: Store;
	readonly registry: Registry;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
	/** The range of cluster IPs of Services, such as `10.96.0.0/16`. */
	readonly serviceCidr: string;
	newUid(): string;
}

/** The present time in Kubernetes' format: whole seconds, UTC. */
export function timestamp(clock: Clock): string {
	return `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`;
}
