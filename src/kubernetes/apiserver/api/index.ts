/** Requests to answers: paths, selectors, lists, watches and writes. Bytes and sockets are `http/`. */
export * from './dispatch.ts';
export * from './reviews.ts';
export * from './status.ts';
export * from './types.ts';
export { put } from './write.ts';
