export * from './api-client.ts';
export * from './credentials.ts';
export * from './errors.ts';
export { type ServerAddress, ServerAddresses } from './server-addresses.ts';
export { serverStateOf } from './server-state.ts';
