/**
 * The CNI plugin `bgpmesh-ipam`: one call of a container runtime becomes one request on the
 * daemon's control socket. The plugin keeps no state and depends on nothing but that socket,
 * because every pod start waits for it to load.
 */
export * from './main.ts';
export { nodeExchange } from './node-exchange.ts';
