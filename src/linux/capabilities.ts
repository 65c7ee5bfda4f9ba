import { readFileSync } from 'node:fs';

const netAdmin = 12n;

/** Is CAP_NET_ADMIN among the effective capabilities in the text of a `/proc/PID/status`? Pure. */
export function grantsNetAdmin(status: string): boolean {
	const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
	return effective !== undefined && ((BigInt(`0x${effective}`) >> netAdmin) & 1n) === 1n;
}

/**
 * May this process change routes and interfaces? If that is unknown, the kernel's refusal will show
 * it: `true`.
 */
export function mayAdministerNetwork(): boolean {
	try {
		return grantsNetAdmin(readFileSync('/proc/self/status', 'utf8'));
	} catch {
		return true;
	}
}
