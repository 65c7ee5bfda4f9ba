import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { parseAddress } from '../../core/index.ts';

/** A key and its certificate, as PEM. */
export interface Certificate {
	readonly key: string;
	readonly cert: string;
}

/** DER encoding: tag, length, content. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
	const content = Buffer.concat(contents);
	if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
	const length = Buffer.from(content.length.toString(16).padStart(content.length > 0xff ? 4 : 2, '0'), 'hex');
	return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

const sequence = (...items: readonly Uint8Array[]): Buffer => der(0x30, ...items);
const integer = (bytes: Uint8Array): Buffer =>
	der(0x02, (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const octets = (content: Uint8Array): Buffer => der(0x04, content);
const bits = (content: Uint8Array): Buffer => der(0x03, Buffer.from([0]), content);
const explicit = (tag: number, content: Uint8Array): Buffer => der(0xa0 | tag, content);
const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text));
const time = (milliseconds: number): Buffer =>
	der(0x18, Buffer.from(`${new Date(milliseconds).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`));

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'));
const yearMs = 365 * 24 * 3600 * 1000;
const validYears = 10;

/**
 * Creates a self-signed certificate for these names and addresses: RFC 5280, ECDSA on P-256. It is
 * valid from ten years before to ten years after `nowMs`: a machine whose clock is wrong, as after
 * the loss of its battery, must reach the server. Clients know the certificate itself, so an early
 * begin of its validity weakens nothing.
 */
export function selfSigned(commonName: string, hosts: readonly string[], nowMs: number): Certificate {
	const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
	const publicInfo = publicKey.export({ type: 'spki', format: 'der' });
	const name = sequence(der(0x31, sequence(oid('550403'), utf8(commonName))));
	const alternatives = sequence(...hosts.map(alternativeName));
	const extension = (id: string, critical: boolean, content: Uint8Array) =>
		sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), octets(content));
	const keyId = createHash('sha1').update(publicInfo).digest();
	const extensions = sequence(
		extension('551d13', true, sequence(der(0x01, Buffer.from([0xff])))),
		// digitalSignature and keyCertSign.
		extension('551d0f', true, der(0x03, Buffer.from([2, 0x84]))),
		extension('551d25', false, sequence(oid('2b06010505070301'))),
		extension('551d0e', false, octets(keyId)),
		extension('551d11', false, alternatives),
	);
	const body = sequence(
		explicit(0, integer(Buffer.from([2]))),
		integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
		ecdsaWithSha256,
		name,
		sequence(time(nowMs - validYears * yearMs), time(nowMs + validYears * yearMs)),
		name,
		publicInfo,
		explicit(3, extensions),
	);
	const certificate = sequence(body, ecdsaWithSha256, bits(sign('sha256', body, privateKey)));
	const text = certificate.toString('base64').replaceAll(/(.{64})(?=.)/g, '$1\n');
	return {
		key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
		cert: `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`,
	};
}

function alternativeName(host: string): Buffer {
	try {
		return der(0x87, parseAddress(host).bytes);
	} catch {
		return der(0x82, Buffer.from(host));
	}
}
