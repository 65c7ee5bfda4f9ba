import { asTrans, CapabilityCode, type OpenMessage, OpenSubcode, PacketError } from 'bgp-packet';
import type { Family } from '../../core/index.ts';
import type { Negotiated, NegotiatedFamily, Role } from '../model/negotiated.ts';
import type { PeerOptions } from '../model/peer-options.ts';
import type { RestartOptions } from '../model/speaker-options.ts';
import { afiSafi, type CapabilitySummary, ownCapabilities, summarizeCapabilities } from './capabilities.ts';

/** The local side towards one peer: the inputs of its OPEN. */
export interface LocalSide {
	/** Of the speaker; `options` may override it for this peer. */
	readonly asNumber: number;
	readonly routerId: number;
	readonly options: PeerOptions;
	readonly restart: RestartOptions;
	/** `false`: an OPEN without optional parameters, for a peer that refused them (RFC 5492 §3). */
	readonly capabilities: boolean;
}

/** The two ends of a TCP connection, 4 or 16 bytes each. */
export interface Endpoints {
	readonly peerAddress: Uint8Array;
	readonly localAddress: Uint8Array;
	/** Of this node; `undefined`: not known. */
	readonly interfaceName: string | undefined;
	readonly interfaceAddresses: Negotiated['interfaceAddresses'];
}

/** The verdict on an OPEN. */
type OpenVerdict =
	| { readonly type: 'accepted'; readonly negotiated: Negotiated }
	| { readonly type: 'rejected'; readonly error: PacketError };

/** RFC 9234 §4.2: the allowed pairs of roles. */
const counterparts: Readonly<Record<Role, Role>> = {
	provider: 'customer',
	customer: 'provider',
	'route-server': 'route-server-client',
	'route-server-client': 'route-server',
	peer: 'peer',
};

/** Builds our OPEN. My AS is AS_TRANS if the number needs four octets (RFC 6793 §9). */
export function ownOpen({ asNumber, routerId, options, restart, capabilities }: LocalSide): OpenMessage {
	const local = options.localAsNumber ?? asNumber;
	return {
		type: 'open',
		version: 4,
		asNumber: local > 0xffff ? asTrans : local,
		holdTimeSeconds: options.holdTimeSeconds,
		routerId: options.localRouterId ?? routerId,
		capabilities: capabilities ? ownCapabilities(options, local, local !== options.asNumber, restart) : [],
	};
}

/**
 * Checks the peer's OPEN against the configuration and our OPEN, and derives the parameters of the
 * session. The decoder has already rejected errors inside the OPEN (version, hold time, identifier
 * 0, parameters).
 */
export function checkOpen(
	received: OpenMessage,
	sent: OpenMessage,
	local: LocalSide,
	endpoints: Endpoints,
): OpenVerdict {
	const ours = summarizeCapabilities(sent.capabilities);
	const theirs = summarizeCapabilities(received.capabilities);
	const localAsNumber = local.options.localAsNumber ?? local.asNumber;
	const kind = localAsNumber === local.options.asNumber ? 'internal' : 'external';
	const error =
		asError(received, theirs, local.options.asNumber) ??
		routerIdError(received, sent, kind) ??
		familyError(ours, theirs) ??
		(kind === 'external' ? roleError(theirs, local.options) : undefined);
	if (error !== undefined) return { type: 'rejected', error };
	const helper = ours.gracefulRestart !== undefined ? theirs.gracefulRestart : undefined;
	const routeRefresh = ours.routeRefresh && theirs.routeRefresh;
	const negotiated: Negotiated = {
		peerName: local.options.name,
		peerAddress: endpoints.peerAddress,
		localAddress: endpoints.localAddress,
		interfaceName: endpoints.interfaceName,
		interfaceAddresses: endpoints.interfaceAddresses,
		peerAsNumber: local.options.asNumber,
		localAsNumber,
		peerRouterId: received.routerId,
		localRouterId: sent.routerId,
		kind,
		holdTimeSeconds: Math.min(sent.holdTimeSeconds, received.holdTimeSeconds),
		fourOctetAs: ours.fourOctetAs !== undefined && theirs.fourOctetAs !== undefined,
		extendedMessageSend: ours.extendedMessage && theirs.extendedMessage,
		routeRefresh,
		enhancedRefresh: routeRefresh && ours.enhancedRefresh && theirs.enhancedRefresh,
		families: [...ours.families]
			.filter((family) => theirs.families.has(family))
			.map((family) => negotiateFamily(family, ours, theirs)),
		peerRestarting: helper?.restarting ?? false,
		peerRestartSeconds: helper?.restartSeconds ?? 0,
		notificationRestart: ours.gracefulRestart?.notification === true && helper?.notification === true,
		// RFC 9234 §4.2: the configured role counts, even if the peer sends none.
		localRole: kind === 'external' ? local.options.role : undefined,
	};
	return { type: 'accepted', negotiated };
}

function negotiateFamily(family: Family, ours: CapabilitySummary, theirs: CapabilitySummary): NegotiatedFamily {
	const ourPaths = ours.addPath.get(family);
	const theirPaths = theirs.addPath.get(family);
	const forwarding = ours.gracefulRestart === undefined ? undefined : theirs.gracefulRestart?.forwarding.get(family);
	return {
		family,
		addPathReceive: ourPaths?.receive === true && theirPaths?.send === true,
		addPathSend: ourPaths?.send === true && theirPaths?.receive === true,
		extendedNextHop: family === 'ipv4' && ours.extendedNextHop && theirs.extendedNextHop,
		gracefulRestart: forwarding === undefined ? undefined : { forwarding },
		longLivedStaleSeconds: ours.longLived.has(family) ? (theirs.longLived.get(family) ?? 0) : 0,
	};
}

const reject = (subcode: number, message: string, data?: Uint8Array): PacketError =>
	new PacketError('openMessage', subcode, message, data === undefined ? {} : { data });

/** RFC 4271 §6.2, RFC 6793 §4.2.3. */
function asError(open: OpenMessage, { fourOctetAs }: CapabilitySummary, expected: number): PacketError | undefined {
	const actual = fourOctetAs ?? open.asNumber;
	return actual === expected
		? undefined
		: reject(OpenSubcode.badPeerAs, `AS ${actual} in the peer's OPEN, configured is ${expected}`);
}

/** RFC 6286 §2.2: unique inside an AS. */
function routerIdError(
	{ routerId }: OpenMessage,
	sent: OpenMessage,
	kind: 'internal' | 'external',
): PacketError | undefined {
	return kind === 'internal' && routerId === sent.routerId
		? reject(OpenSubcode.badBgpIdentifier, 'identifier equal to our own')
		: undefined;
}

/**
 * A session without a common family is useless: 2/7 with the required capabilities (RFC 5492 §5).
 */
function familyError(ours: CapabilitySummary, theirs: CapabilitySummary): PacketError | undefined {
	if ([...ours.families].some((family) => theirs.families.has(family))) return undefined;
	const wanted = [...ours.families]
		.map(afiSafi)
		.flatMap(({ afi, safi }) => [CapabilityCode.multiprotocol, 4, afi >> 8, afi & 0xff, 0, safi]);
	return reject(OpenSubcode.unsupportedCapability, 'no address family in common', Uint8Array.from(wanted));
}

/** RFC 9234 §4.2: 2/11. */
function roleError({ roles }: CapabilitySummary, { role, strictRole }: PeerOptions): PacketError | undefined {
	if (roles.size > 1) return reject(OpenSubcode.roleMismatch, 'several roles');
	if (role === undefined) return undefined;
	const [theirs] = roles;
	if (theirs === undefined) return strictRole ? reject(OpenSubcode.roleMismatch, 'no role') : undefined;
	return theirs === counterparts[role]
		? undefined
		: reject(OpenSubcode.roleMismatch, `role ${theirs} towards our ${role}`);
}
