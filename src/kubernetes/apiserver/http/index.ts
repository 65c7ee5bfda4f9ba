/** Sockets, TLS, tokens and bytes around the API. */
export * from './auth.ts';
export * from './certificate.ts';
export * from './listener.ts';
