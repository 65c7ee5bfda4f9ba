import { once } from 'node:events';
import { createServer } from 'node:net';

/** A network 127.`octet`.0.0/16 that no other benchmark of this machine uses. */
export interface ClaimedNetwork {
	readonly octet: number;
	release(): Promise<void>;
}

const firstOctet = 16;
const octets = 200;
/** A claim is a listener on the last address of the network. The subject listens on another port. */
const claimPort = 1789;

/** Claims a network, beginning with the one of this process. @throws RangeError if none is free */
export async function claimNetwork(): Promise<ClaimedNetwork> {
	for (let attempt = 0; attempt < octets; attempt++) {
		const octet = firstOctet + ((process.pid + attempt) % octets);
		const listener = createServer().listen({ host: `127.${octet}.255.254`, port: claimPort });
		try {
			await once(listener, 'listening');
		} catch {
			continue;
		}
		return {
			octet,
			release: async () => {
				listener.close();
				await once(listener, 'close');
			},
		};
	}
	throw new RangeError(`each of the ${octets} networks of benchmarks is in use`);
}
