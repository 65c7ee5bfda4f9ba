/** Bytes written in hex; white space and `# comments` are skipped. */
export function bytes(hex: string): Uint8Array {
	const digits = hex.replace(/#.*$/gm, '').replace(/\s+/g, '');
	if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not hex: ${hex}`);
	return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Bytes as hex digits. */
export function hex(value: Uint8Array): string {
	return Buffer.from(value).toString('hex');
}

/** A message from its type and body: the header is put before it. */
export function frame(type: number, body: string | Uint8Array): Uint8Array {
	const content = typeof body === 'string' ? bytes(body) : body;
	const length = content.length + 19;
	return Uint8Array.of(...Array.from({ length: 16 }, () => 0xff), length >>> 8, length, type, ...content);
}

/** An UPDATE from the hex of its three fields; the lengths are put before them. */
export function update({ withdrawn = '', attributes = '', nlri = '' }: { withdrawn?: string; attributes?: string; nlri?: string }): Uint8Array {
	const [gone, block, come] = [bytes(withdrawn), bytes(attributes), bytes(nlri)];
	return frame(2, Uint8Array.of(gone.length >>> 8, gone.length, ...gone, block.length >>> 8, block.length, ...block, ...come));
}
