/**
 * Kubernetes: lossless JSON, clients and models of Calico's resources, and the embedded API server.
 */
export * from './json/index.ts';
