/**
 * The command `bgpmesh`: a thin client of the control socket. A verb asks, a renderer shows; renderers are pure and tested
 * by whole screens. With `--json` it prints exactly what the daemon said.
 */
export { ExitCode, main, type Process } from './main.ts';
export {
	type ApiServerRequest,
	type Applied,
	type ApplyRequest,
	type ClusterAccess,
	ClusterAccessError,
	type GetAnswer,
	type GetRequest,
	type RunApiServer,
} from './verb.ts';
