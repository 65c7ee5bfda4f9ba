/** Bytes written in hex: white space is ignored, `#` begins a comment that ends with the line. */
export function bytes(text: string): Uint8Array {
	const hex = text.replaceAll(/#.*$/gm, '').replaceAll(/\s+/g, '');
	if (!/^([0-9a-f]{2})*$/i.test(hex)) throw new TypeError(`not hex: ${hex}`);
	return Uint8Array.from(Buffer.from(hex, 'hex'));
}
