/** An address of an API server. */
export interface ServerAddress {
	readonly host: string;
	readonly port: number;
}

/**
 * Alternative addresses of the API server, used in place of the one in the credentials. A node that
 * implements Services itself can not depend on the Service of the API server to read the Services.
 * Certificates are still checked against the name in the credentials. After a failed connection the
 * next address is tried; the one in the credentials is the last.
 */
export class ServerAddresses {
	#addresses: readonly ServerAddress[] = [];
	#index = 0;

	/** Replaces the addresses; existing connections continue. */
	set(addresses: readonly ServerAddress[]): void {
		if (JSON.stringify(addresses) === JSON.stringify(this.#addresses)) return;
		this.#addresses = addresses;
		this.#index = 0;
	}

	/** The address for the next connection; `undefined`: the one in the credentials. */
	current(): ServerAddress | undefined {
		return this.#addresses[this.#index];
	}

	/** Records a failed connection to an address. */
	failed(address: ServerAddress | undefined): void {
		if (address === this.current()) this.#index = (this.#index + 1) % (this.#addresses.length + 1);
	}
}
