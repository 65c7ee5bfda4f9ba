/**
 * The CNI plugin `bgpmesh-ipam`: one call of a container runtime becomes one request on the daemon's control socket. It keeps
 * nothing and knows nothing but that socket, since every pod's start waits for it to load.
 */
export * from './main.ts';
