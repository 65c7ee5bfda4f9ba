/**
 * The control socket: a table of endpoints (`api.ts`) from which server and client are both typed,
 * HTTP + JSON on a Unix socket, one JSON object a line for streams, `/metrics` beside them. It
 * depends on no other module: the daemon gives it functions. Lists are produced while they are
 * sent, in slices, no faster than the reader reads; a listing has a line for each element of its
 * list, so that a client can read it the same way.
 */
export { Line } from './answer.ts';
export {
	type AnswerOf,
	ControlError,
	endpoints,
	errorAnswer,
	type Handlers,
	type ListedBy,
	type ListingName,
	type RequestOf,
} from './api.ts';
export { ControlClient, CutOffError, NoDaemonError } from './client.ts';
export type * from './cni-views.ts';
export type * from './ipam-views.ts';
export type { Producing } from './json-text.ts';
export type * from './lint-views.ts';
export type * from './policy-views.ts';
export { defaultReleaseDirectory, releaseSuffix, writeRelease } from './release-file.ts';
export { ControlServer, type MetricsText } from './server.ts';
export type * from './services-views.ts';
export { SocketInUseError, SocketPathError } from './socket.ts';
export type * from './views.ts';
