/**
 * The store: versions of objects under keys, in the order of revisions, durable with a journal. It
 * does not interpret objects.
 */
export * from './journal.ts';
export * from './journal-level.ts';
export * from './store.ts';
export * from './version.ts';
