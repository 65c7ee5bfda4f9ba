/**
 * An embedded API server with Kubernetes' semantics, for laboratories, tests and small sites without a cluster.
 *
 * `store/` keeps versions of objects in memory and, where asked, on disk; `resources/` knows what is served; `schema/`, `patch/` and `objects/` decide,
 * as pure functions, what a write makes of an object; `api/` answers requests; `http/` is sockets, TLS and tokens. `server.ts` puts them together.
 */
export { type Certificate, parseTokenFile, selfSigned, TokenFileError, type TokenUser } from './http/index.ts';
export * from './server.ts';
export type { HistoryLimits } from './store/index.ts';
