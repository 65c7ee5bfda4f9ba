/**
 * The control socket: a table of endpoints (`api.ts`) from which server and client are both typed, HTTP + JSON on a Unix
 * socket, one JSON object a line for streams, `/metrics` beside them. It knows no room: the daemon gives it functions.
 */
export {
	type AnswerOf,
	ControlError,
	type Endpoint,
	type EndpointName,
	type ErrorDetails,
	endpoints,
	errorAnswer,
	type Handlers,
	type RequestOf,
} from './api.ts';
export { ControlClient, NoDaemonError } from './client.ts';
export type * from './cni-views.ts';
export type * from './ipam-views.ts';
export type * from './lint-views.ts';
export { ControlServer, type ControlServerOptions } from './server.ts';
export { SocketInUseError, SocketPathError } from './socket.ts';
export type * from './views.ts';
