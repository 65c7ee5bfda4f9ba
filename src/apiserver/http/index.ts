/** The HTTP side of the API: sockets, TLS, tokens and bytes. */
export * from './auth.ts';
export * from './certificate.ts';
export * from './listener.ts';
