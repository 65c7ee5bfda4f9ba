export * from './api-client.ts';
export * from './credentials.ts';
export * from './errors.ts';
