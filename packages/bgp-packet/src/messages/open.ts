import { type Capability, decodeCapability, encodeCapability } from '../capabilities/index.ts';
import { asTrans, OpenSubcode } from '../constants.ts';
import { malformedOpen, PacketError } from '../errors.ts';
import { Reader } from '../reader.ts';
import { Writer } from '../writer.ts';

/** How a speaker introduces itself. RFC 4271 §4.2. */
export interface OpenMessage {
	readonly type: 'open';
	/** 4. */
	readonly version: number;
	/**
	 * The 2-octet field: 23456 where the real number, in `four-octet-as`, does not fit (RFC 6793 §9).
	 */
	readonly asNumber: number;
	/** 0, or 3 and more. */
	readonly holdTimeSeconds: number;
	/** BGP identifier, unsigned. */
	readonly routerId: number;
	/** In the order of sending, repetitions included. */
	readonly capabilities: readonly Capability[];
}

/** Optional parameter types. RFC 5492 §4, RFC 9072 §2. */
const ParameterType = { capabilities: 2, extendedLength: 255 } as const;

/**
 * The body of an OPEN. Judged here is what needs no configuration. @throws PacketError 2/x (RFC
 * 4271 §6.2)
 */
export function decodeOpen(bytes: Uint8Array, start: number, end: number): OpenMessage {
	const reader = new Reader(bytes, start, end, () => malformedOpen('OPEN is too short'));
	const version = reader.u8();
	// RFC 4271 §6.2: the data is the largest version that is supported.
	if (version !== 4) throw open(OpenSubcode.unsupportedVersionNumber, `version ${version}`, [0, 4]);
	const asNumber = reader.u16();
	const holdTimeSeconds = reader.u16();
	const routerId = reader.u32();
	const capabilities = decodeParameters(reader);
	checkAsNumbers(asNumber, capabilities);
	if (holdTimeSeconds === 1 || holdTimeSeconds === 2)
		throw open(OpenSubcode.unacceptableHoldTime, `hold time of ${holdTimeSeconds} s`);
	// RFC 6286 §2.1: any other value is an identifier.
	if (routerId === 0) throw open(OpenSubcode.badBgpIdentifier, 'BGP identifier 0');
	return { type: 'open', version, asNumber, holdTimeSeconds, routerId, capabilities };
}

function open(subcode: number, message: string, data: readonly number[] = []): PacketError {
	return new PacketError('openMessage', subcode, message, { data: Uint8Array.from(data) });
}

/** RFC 7607 §2, RFC 6793 §9. */
function checkAsNumbers(asNumber: number, capabilities: readonly Capability[]): void {
	let hasFourOctets = false;
	for (const capability of capabilities) {
		if (capability.type !== 'four-octet-as') continue;
		hasFourOctets = true;
		if (capability.asNumber === 0) throw open(OpenSubcode.badPeerAs, 'AS 0 in the four-octet-as capability');
	}
	if (asNumber === 0) throw open(OpenSubcode.badPeerAs, 'AS 0');
	if (asNumber === asTrans && !hasFourOctets)
		throw open(OpenSubcode.badPeerAs, 'AS_TRANS without the four-octet-as capability');
}

function decodeParameters(reader: Reader): Capability[] {
	const length = reader.u8();
	// RFC 9072 §2: with the extended form the one-octet length has no meaning.
	const extended = length !== 0 && reader.peek() === ParameterType.extendedLength;
	if (extended) reader.u8();
	const parameters = reader.sub(extended ? reader.u16() : length, () =>
		malformedOpen('an optional parameter runs over'),
	);
	if (reader.remaining > 0) throw malformedOpen(`${reader.remaining} bytes behind the optional parameters`);
	const capabilities: Capability[] = [];
	while (parameters.remaining > 0) {
		const type = parameters.u8();
		const parameter = parameters.sub(extended ? parameters.u16() : parameters.u8(), () =>
			malformedOpen('a capability runs over its parameter'),
		);
		if (type !== ParameterType.capabilities)
			throw open(OpenSubcode.unsupportedOptionalParameter, `optional parameter ${type}`);
		while (parameter.remaining > 0) capabilities.push(decodeCapability(parameter));
	}
	return capabilities;
}

/**
 * All capabilities in one parameter; the extended form of RFC 9072 only where 255 bytes do not hold
 * them.
 */
export function encodeOpen(writer: Writer, message: OpenMessage): void {
	writer.u8(message.version);
	writer.u16(message.asNumber);
	writer.u16(message.holdTimeSeconds);
	writer.u32(message.routerId);
	const capabilities = new Writer();
	for (const capability of message.capabilities) capabilities.bytes(encodeCapability(capability));
	const { length } = capabilities;
	if (length === 0) writer.u8(0);
	else if (length + 2 <= 255) {
		writer.u8(length + 2);
		writer.u8(ParameterType.capabilities);
		writer.u8(length);
	} else {
		writer.u8(255);
		writer.u8(ParameterType.extendedLength);
		writer.u16(length + 3);
		writer.u8(ParameterType.capabilities);
		writer.u16(length);
	}
	writer.bytes(capabilities.finish());
}
