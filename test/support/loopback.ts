let taken = 0;

/** An address of 127.0.0.0/8 that no other test process and no other call uses. */
export function loopbackAddress(): string {
	taken++;
	const host = ((process.pid & 0x3fff) << 8) | (taken & 0xff);
	return `127.${64 + ((host >> 16) & 0x3f)}.${(host >> 8) & 0xff}.${host & 0xff || 1}`;
}

/** A port for the addresses of `loopbackAddress`; any will do, they are ours alone. */
export const testPort = 11_790;
