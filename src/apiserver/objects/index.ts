/**
 * Decisions on objects: values in, values or an `ApiError` out. No storage, no waiting, no HTTP.
 */
export * from './decide.ts';
export * from './normalize.ts';
