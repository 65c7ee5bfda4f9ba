/** What a request makes of an object: values in, values or an `ApiError` out. Nothing here stores, waits or knows HTTP. */
export * from './decide.ts';
export * from './normalize.ts';
