import type { PeerView } from './views.ts';

/** The states of a session as RFC 4271 §8.2.2 writes them. */
export const stateNames: Readonly<Record<PeerView['state'], string>> = {
	idle: 'Idle',
	connect: 'Connect',
	active: 'Active',
	'open-sent': 'OpenSent',
	'open-confirm': 'OpenConfirm',
	established: 'Established',
};
