/**
 * What the server remembers: versions of objects under keys, in the order of revisions, durable where it is given a journal.
 * Nothing here knows what an object means.
 */
export * from './journal.ts';
export * from './journal-level.ts';
export * from './store.ts';
export * from './version.ts';
