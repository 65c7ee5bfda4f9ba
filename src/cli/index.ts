/**
 * The command `bgpmesh`: a thin client of the control socket. A verb asks, a renderer shows;
 * renderers are pure and tested by whole screens. With `--json` it prints the answer of the daemon.
 */
export { main } from './main.ts';
export {
	type ApiServerRequest,
	type Applied,
	type ApplyRequest,
	type CleanedPlane,
	type CleanUp,
	ClusterAccessError,
	type GetAnswer,
	type GetRequest,
	type HostCheck,
	type RunApiServer,
} from './verb.ts';
