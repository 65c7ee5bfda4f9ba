/**
 * An embedded API server with Kubernetes' semantics, for laboratories, tests and small sites
 * without a cluster.
 *
 * `store/` keeps versions of objects in memory and optionally on disk. `resources/` is the registry
 * of served resources. `schema/`, `patch/` and `objects/` compute the result of a write, as pure
 * functions. `api/` handles requests. `http/` has sockets, TLS and tokens. `server.ts` composes
 * them.
 */
export { type Certificate, parseTokenFile, selfSigned, TokenFileError, type TokenUser } from './http/index.ts';
export { kubeconfigOf } from './kubeconfig.ts';
export { packagedDefinitions } from './packaged-definitions.ts';
export * from './server.ts';
