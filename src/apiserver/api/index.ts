/**
 * Maps requests to responses: paths, selectors, lists, watches and writes. Bytes and sockets are in
 * `http/`.
 */
export * from './dispatch.ts';
export * from './reviews.ts';
export * from './status.ts';
export * from './types.ts';
export { put } from './write.ts';
