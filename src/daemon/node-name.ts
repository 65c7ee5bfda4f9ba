import { hostname } from 'node:os';

/** The name of this node: `node` of the configuration, else `NODENAME`, else that of the host. */
export const nodeName = (configured: string | undefined): string => configured ?? process.env['NODENAME'] ?? hostname();
