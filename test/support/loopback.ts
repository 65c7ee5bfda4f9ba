let taken = 0;

/**
 * An address of 127.0.0.0/8 that no other test process and no other call uses; there are a thousand
 * in each process.
 */
export function loopbackAddress(): string {
	const host = ((process.pid & 0xfff) << 10) | (++taken & 0x3ff);
	return `127.${64 + (host >> 16)}.${(host >> 8) & 0xff}.${host & 0xff}`;
}

/**
 * A port for the addresses of `loopbackAddress`; any port works, since the addresses are used by
 * this process only.
 */
export const testPort = 11_790;
