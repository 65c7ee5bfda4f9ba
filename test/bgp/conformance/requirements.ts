/** A requirement of the BGP standards, or of this project where no RFC has it. */
export interface Requirement {
	/** `C12`: titles of tests carry it as `[C12]`. */
	readonly id: string;
	/** `RFC 4271 §4.1, §6.1; RFC 8654 §4`; empty: a requirement of this project. */
	readonly source: string;
	/** `1/2` is a NOTIFICATION: code and subcode. */
	readonly text: string;
	/** The reason why no test covers it; `undefined`: at least one does. */
	readonly untested: string | undefined;
}

/** Requirements of one subject. */
export interface Chapter {
	readonly title: string;
	readonly requirements: readonly Requirement[];
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ');

const requirement = (number: number, source: string, text: string, untested?: string): Requirement => ({
	id: `C${number}`,
	source,
	text: oneLine(text),
	untested,
});

/**
 * The requirements of BGP that this project holds itself to: one row each. The page
 * docs/reference/conformance.md is generated from them, and `test/conformance.test.ts` compares
 * them with the titles of all tests. A new requirement gets the next number.
 */
export const chapters: readonly Chapter[] = [
	{
		title: 'Framing of every message',
		requirements: [
			requirement(
				1,
				'RFC 4271 §4.1',
				`Marker is 16 octets of 0xFF on send; on receive anything else closes with 1/1
				(Connection Not Synchronized).`,
			),
			requirement(
				2,
				'RFC 4271 §4.1, §6.1',
				`Length < 19 or > 4096 (without RFC 8654) closes with 1/2; Data = the 2-octet Length that
				was received.`,
			),
			requirement(
				3,
				'RFC 4271 §6.1',
				`OPEN shorter than 29, UPDATE shorter than 23, KEEPALIVE other than 19, NOTIFICATION
				shorter than 21: 1/2 with the bad Length as data.`,
			),
			requirement(
				4,
				'RFC 2918 §3; RFC 7313 §5',
				`ROUTE-REFRESH is 23 octets; with RFC 7313 negotiated a bad length (subtype 1 or 2)
				closes with 7/1, Data = the whole message.`,
			),
			requirement(5, 'RFC 4271 §6.1', `Unknown Type closes with 1/3; Data = the 1-octet Type.`),
			requirement(
				6,
				'RFC 4271 §4.1',
				`TCP is a byte stream: a message split at every byte position, and many messages in one
				segment, decode to the same result.`,
			),
			requirement(
				7,
				'RFC 4271 §6',
				`After a fatal NOTIFICATION is sent the TCP connection is closed, routes of the peer are
				removed (unless graceful restart applies) and nothing received later is processed.`,
			),
			requirement(
				8,
				'RFC 4271 §6.4',
				`An error in a received NOTIFICATION is only logged; no NOTIFICATION is sent in reply.
				Any received NOTIFICATION ends the session.`,
			),
			requirement(
				9,
				'RFC 4271 §4.5',
				`NOTIFICATION data length = Length - 21; unknown codes and subcodes are accepted and
				surfaced.`,
			),
			requirement(
				10,
				'RFC 8654 §3, §4',
				`Extended Message capability is code 6, length 0. After it was received from the peer,
				messages up to 65535 may be sent to that peer.`,
			),
			requirement(11, 'RFC 8654 §4', `OPEN and KEEPALIVE never exceed 4096, even with RFC 8654.`),
			requirement(
				12,
				'RFC 8654 §4, §5',
				`A speaker that advertised the capability accepts up to 65535 octets; one that did not
				answers > 4096 with 1/2.`,
			),
			requirement(
				13,
				'RFC 8654 §4',
				`A route that cannot fit 4096 for a peer without the capability is not sent, is withdrawn
				if previously sent, and this is reported, never truncated.`,
			),
		],
	},
	{
		title: 'OPEN and capabilities',
		requirements: [
			requirement(14, 'RFC 4271 §6.2', `Version other than 4: 2/1; Data = 2-octet largest version supported (0004).`),
			requirement(
				15,
				'RFC 4271 §6.2; RFC 6793 §4.1',
				`Peer AS (My AS, or the 4-octet value of capability 65 if present) not as configured:
				2/2.`,
			),
			requirement(16, 'RFC 7607 §2', `AS 0 in My AS or in capability 65: 2/2.`),
			requirement(
				17,
				'RFC 6793 §4.2.1, §9',
				`My AS = 23456 (AS_TRANS) is sent when the local AS does not fit in 2 octets; AS_TRANS
				without capability 65 is not a valid peer AS.`,
			),
			requirement(
				18,
				'RFC 6286 §2.1',
				`BGP Identifier 0: 2/3. Any other 32-bit value is allowed (class E and multicast patterns
				included).`,
			),
			requirement(
				19,
				'RFC 6286 §2.2',
				`iBGP: identifier equal to the own identifier: 2/3. eBGP: equal identifiers are allowed.`,
			),
			requirement(
				20,
				'RFC 4271 §6.2',
				`Hold Time 1 or 2: 2/6. 0 and >= 3 are accepted (an implementation may refuse any other
				value too).`,
			),
			requirement(
				21,
				'RFC 4271 §4.2',
				`Negotiated hold time = min(own, peer). If 0: neither hold nor keepalive timer runs.`,
			),
			requirement(22, 'RFC 4271 §6.2', `Unknown optional parameter type: 2/4. Recognized but malformed: 2/0.`),
			requirement(
				23,
				'RFC 4271 §6.2',
				`Optional parameter length that overruns the message or is short: 2/0 (Unspecific) or 1/2
				for the outer length.`,
			),
			requirement(
				24,
				'RFC 5492 §4',
				`Capabilities are in parameter type 2; several capabilities per parameter, several such
				parameters, and repeated instances are all accepted.`,
			),
			requirement(25, 'RFC 5492 §3', `Unknown capability codes are ignored, the session comes up.`),
			requirement(
				26,
				'RFC 5492 §3, §5',
				`2/7 (Unsupported Capability) is only sent by a speaker that requires a missing
				capability; Data lists the capabilities wanted.`,
			),
			requirement(
				27,
				'RFC 5492 §3',
				`If the peer answers 2/4 the speaker may retry without the Capabilities parameter
				(interop with very old speakers).`,
			),
			requirement(28, 'RFC 5492 §5', `A capability length that overruns its parameter closes with 2/0.`),
			requirement(
				29,
				'RFC 9072 §2',
				`If Opt Parm Len octet is non-zero and the first parameter type is 255, the extended form
				is used: 2-octet total length and 2-octet parameter lengths.`,
			),
			requirement(
				30,
				'RFC 9072 §2',
				`The extended form is sent only when parameters exceed 255 octets (or by configuration);
				Opt Parm Len is then sent as 255 and its value is ignored on receipt.`,
			),
			requirement(31, 'RFC 9072 §2', `A receiver accepts the extended form even for short parameter lists.`),
			requirement(
				32,
				'RFC 4760 §8',
				`Multiprotocol capability: code 1, length 4: AFI(2) reserved(1) SAFI(1); reserved is
				ignored on receipt.`,
			),
			requirement(
				33,
				'RFC 4760 §8',
				`An AFI/SAFI is usable only if both sides advertised it. Without any MP capability IPv4
				unicast is implied.`,
			),
			requirement(
				34,
				'RFC 6793 §3',
				`Capability 65 has length 4 and carries the own AS number; 4-octet encoding is used only
				if both sides sent it.`,
			),
			requirement(
				35,
				'RFC 4724 §3',
				`Capability 64: 4 bits flags (R = 0x8), 12 bits restart time, then 4 octets per AFI/SAFI
				(flags, F = 0x80). An empty list is legal (End-of-RIB support only).`,
			),
			requirement(36, 'RFC 4724 §3', `More than one capability 64: only the last one counts.`),
			requirement(37, 'RFC 8538 §2', `The N bit is 0x4 in the capability 64 flags.`),
			requirement(
				38,
				'RFC 9494 §3',
				`Capability 71: 7 octets per AFI/SAFI (AFI, SAFI, flags F = 0x80, 24-bit stale time). It
				is ignored if capability 64 is absent.`,
			),
			requirement(
				39,
				'RFC 7911 §4',
				`Capability 69: 4 octets per AFI/SAFI (AFI, SAFI, 1 receive / 2 send / 3 both). Any other
				value: the tuple is ignored. A length not a multiple of 4 is malformed.`,
			),
			requirement(
				40,
				'RFC 7911 §4',
				`Path identifiers towards a peer are used for an AFI/SAFI only if own side has "send" and
				the peer "receive" (each direction on its own).`,
			),
			requirement(
				41,
				'RFC 8950 §4',
				`Capability 5: 6 octets per entry (NLRI AFI, 2-octet SAFI, next-hop AFI). Unknown
				combinations are ignored.`,
			),
			requirement(
				42,
				'RFC 2918 §2; RFC 7313 §3',
				`Route refresh capability code 2, enhanced route refresh code 70, both length 0.`,
			),
			requirement(
				43,
				'RFC 9234 §4.1',
				`Role capability: code 9, length 1, 0 Provider, 1 RS, 2 RS-Client, 3 Customer, 4 Peer.
				Sent only on eBGP.`,
			),
			requirement(
				44,
				'RFC 9234 §4.2',
				`Allowed pairs: Provider-Customer, RS-RS-Client, Peer-Peer. Any other pair: 2/11 (Role
				Mismatch).`,
			),
			requirement(
				45,
				'RFC 9234 §4.2',
				`Several Role capabilities with different values: 2/11. The same value repeated: treated
				as one.`,
			),
			requirement(
				46,
				'RFC 9234 §4.2',
				`No Role received: session comes up, unless strict mode is configured, then 2/11.`,
			),
		],
	},
	{
		title: 'State machine, timers, connections',
		requirements: [
			requirement(
				47,
				'RFC 4271 §8.2.2',
				`Idle: no connection is accepted; ManualStart or AutomaticStart starts ConnectRetryTimer,
				opens TCP and listens, state Connect.`,
			),
			requirement(
				48,
				'RFC 4271 §8.2.2',
				`Passive start (events 4, 5): state Active, no outgoing attempt until ConnectRetryTimer
				fires (never for a peer configured as passive).`,
			),
			requirement(
				49,
				'RFC 4271 §8.2.2',
				`Connect: TCP up and DelayOpen false: OPEN is sent, hold timer set to a large value (4
				minutes suggested), state OpenSent.`,
			),
			requirement(
				50,
				'RFC 4271 §8.2.2',
				`Connect: TCP failure (event 18): with DelayOpen running go to Active, otherwise to Idle.`,
			),
			requirement(
				51,
				'RFC 4271 §8.2.2',
				`Connect and Active: ConnectRetryTimer expiry restarts the timer and a fresh TCP attempt.`,
			),
			requirement(
				52,
				'RFC 4271 §8.2.2',
				`DelayOpen: an OPEN received while DelayOpenTimer runs is answered with OPEN plus
				KEEPALIVE, state OpenConfirm.`,
			),
			requirement(
				53,
				'RFC 4271 §8.2.2',
				`OpenSent: valid OPEN: KEEPALIVE sent, timers set to negotiated values, OpenConfirm.`,
			),
			requirement(54, 'RFC 4271 §8.2.2', `OpenSent: TCP failure goes to Active and restarts ConnectRetryTimer.`),
			requirement(55, 'RFC 4271 §8.2.2', `OpenSent: hold timer expiry sends 4/0.`),
			requirement(
				56,
				'RFC 4271 §8.2.2',
				`OpenConfirm: KEEPALIVE leads to Established, hold timer is restarted (if not 0).`,
			),
			requirement(
				57,
				'RFC 4271 §8.2.2',
				`OpenConfirm and Established: KeepaliveTimer expiry sends KEEPALIVE and restarts the
				timer.`,
			),
			requirement(58, 'RFC 4271 §8.2.2', `Established: every KEEPALIVE and UPDATE restarts the hold timer (if not 0).`),
			requirement(
				59,
				'RFC 4271 §6.5, §8.2.2',
				`No KEEPALIVE, UPDATE or NOTIFICATION within hold time: 4/0, connection closed,
				ConnectRetryCounter + 1, Idle.`,
			),
			requirement(
				60,
				'RFC 4271 §8.2.2',
				`ManualStop in any state other than Idle: Cease is sent (from OpenSent on), resources
				freed, ConnectRetryCounter = 0, Idle and no automatic restart.`,
			),
			requirement(
				61,
				'RFC 6608 §3',
				`Unexpected message: 5/1 in OpenSent, 5/2 in OpenConfirm, 5/3 in Established (e.g. second
				OPEN); Data = 1-octet message type.`,
			),
			requirement(62, 'RFC 4271 §8.2.2', `An unexpected event in Connect or Active closes without NOTIFICATION.`),
			requirement(
				63,
				'RFC 4271 §8.1.2, §8.2.2',
				`NOTIFICATION with version error (2/1) goes to Idle without raising the oscillation
				penalty.`,
			),
			requirement(
				64,
				'RFC 4271 §8.1.1',
				`ConnectRetryCounter rises with each failed session; DampPeerOscillations (optional)
				delays automatic restart (IdleHoldTimer).`,
			),
			requirement(
				65,
				'RFC 4271 §10',
				`Default timers: ConnectRetry 120 s, Hold 90 s, Keepalive = hold / 3,
				MinASOriginationInterval 15 s, MRAI 30 s eBGP and 5 s iBGP; all but Hold are jittered
				0.75 to 1.0.`,
			),
			requirement(66, 'RFC 4271 §4.4', `KEEPALIVE not more often than 1 per second; none if hold time is 0.`),
			requirement(
				67,
				'RFC 4271 §6.8',
				`Collision: two connections to one peer, one in OpenConfirm: compare identifiers as
				unsigned host-order integers; the connection opened by the higher one survives.`,
			),
			requirement(68, 'RFC 4271 §6.8', `The loser is closed with Cease (6/7 Connection Collision Resolution).`),
			requirement(
				69,
				'RFC 6286 §2.3',
				`Equal identifiers (eBGP): the connection opened by the speaker with the larger AS number
				survives.`,
			),
			requirement(
				70,
				'RFC 4271 §6.8',
				`A new connection that collides with an Established one is closed, unless
				CollisionDetectEstablishedState is configured.`,
			),
			requirement(
				71,
				'RFC 4271 §6.8',
				`A connection in OpenSent is examined too if the peer identifier is known by other means.`,
			),
			requirement(
				72,
				'RFC 4271 §8.2.1',
				`Connections from unconfigured addresses are refused (6/5 Connection Rejected or plain
				close) and do not disturb existing sessions.`,
			),
			requirement(
				73,
				'RFC 4271 §8',
				`Both sides active at the same moment, both passive, and one stopped for minutes: exactly
				one Established session or none, never a loop of resets.`,
			),
			requirement(
				74,
				'RFC 9687 §3',
				`SendHoldTimer runs while data cannot be written to the peer; default is the larger of 8
				minutes and 2 x hold time; 0 or off when hold time is 0.`,
			),
			requirement(
				75,
				'RFC 9687 §3',
				`On expiry (event 29): code 8 subcode 0 is tried, TCP is dropped, routes removed,
				ConnectRetryCounter + 1, Idle; an error is logged even if nothing could be sent.`,
			),
			requirement(
				76,
				'RFC 4271 §8.2.2',
				`Hold timer must fire even when the own send side is blocked (a peer with zero TCP
				window).`,
			),
		],
	},
	{
		title: 'NOTIFICATION and Cease',
		requirements: [
			requirement(
				77,
				'RFC 4486 §4',
				`Cease: 1 max prefixes, 2 admin shutdown, 3 de-configured, 4 admin reset, 5 rejected, 6
				other configuration change, 7 collision, 8 out of resources.`,
			),
			requirement(78, 'RFC 4486 §4', `For 6/1 the data is optional: AFI(2) SAFI(1) limit(4).`),
			requirement(79, 'RFC 8538 §3; RFC 9384 §3', `Cease 9 is Hard Reset, 10 is BFD Down.`),
			requirement(
				80,
				'RFC 9003 §2',
				`6/2 and 6/4 may carry 1 octet length (0 to 255) + UTF-8 text. Length 0 is an empty
				message.`,
			),
			requirement(
				81,
				'RFC 9003 §3, §4',
				`A length that does not fit, or bad UTF-8, is logged as hex and has no other effect; text
				is escaped before display.`,
			),
			requirement(
				82,
				'RFC 8203 §2; RFC 9003 §2',
				`Text of up to 128 octets from and to RFC 8203 speakers, up to 255 otherwise.`,
			),
			requirement(
				83,
				'RFC 4486 §4',
				`Prefix limit: exceeding it per AFI/SAFI ends the session with 6/1 (or only warns, by
				configuration); no restart until the operator or a timer restarts it.`,
			),
		],
	},
	{
		title: 'Structure of UPDATE',
		requirements: [
			requirement(
				84,
				'RFC 4271 §6.3; RFC 7606 §3(b)',
				`Withdrawn length + attribute length + 23 > message length: session reset, 3/1.`,
			),
			requirement(85, 'RFC 7606 §3(a)', `Only errors for which session reset is specified produce a NOTIFICATION.`),
			requirement(
				86,
				'RFC 7606 §4',
				`Attribute whose length runs over the attribute block: treat-as-withdraw; the NLRI start
				is taken from Total Path Attribute Length.`,
			),
			requirement(
				87,
				'RFC 7606 §4',
				`1 or 2 (3 if Extended Length is set) octets left at the end of the attribute block:
				treat-as-withdraw.`,
			),
			requirement(88, 'RFC 7606 §4', `Length 0 is an error for every attribute except AS_PATH and ATOMIC_AGGREGATE.`),
			requirement(
				89,
				'RFC 4271 §4.3',
				`Extended Length bit is honoured for any length; the 4 low flag bits are sent as 0 and
				ignored on receipt.`,
			),
			requirement(
				90,
				'RFC 7606 §3(c)',
				`Optional or Transitive bit not as specified: malformed, treat-as-withdraw (attribute-
				discard for ATOMIC_AGGREGATE and AGGREGATOR by 3(f)).`,
			),
			requirement(
				91,
				'RFC 7606 §3(d)',
				`Missing ORIGIN or AS_PATH, or NEXT_HOP with IPv4 NLRI present: treat-as-withdraw.`,
			),
			requirement(92, 'RFC 4271 §6.3', `Missing attributes do not matter in an UPDATE that carries only withdrawals.`),
			requirement(
				93,
				'RFC 4760 §3',
				`NEXT_HOP is not required, and is ignored, when the only NLRI is in MP_REACH_NLRI.`,
			),
			requirement(94, 'RFC 7606 §3(g)', `MP_REACH_NLRI or MP_UNREACH_NLRI twice: session reset 3/1.`),
			requirement(
				95,
				'RFC 7606 §3(g)',
				`Any other attribute twice (also unknown ones): the first is kept, the others are
				dropped, processing continues.`,
			),
			requirement(
				96,
				'RFC 7606 §3(h)',
				`Several errors: the strongest action wins (session reset > AFI/SAFI disable > treat-as-
				withdraw > discard).`,
			),
			requirement(
				97,
				'RFC 4271 §6.3',
				`Unrecognized well-known attribute (Optional bit 0): 3/2, Data = the attribute (flags,
				type, length, value).`,
			),
			requirement(
				98,
				'RFC 4271 §5',
				`Unrecognized optional transitive: kept, Partial bit set, passed on. Partial is never
				cleared.`,
			),
			requirement(99, 'RFC 4271 §5', `Unrecognized optional non-transitive: dropped silently, not passed on.`),
			requirement(100, 'RFC 4271 §5', `The order of attributes does not matter on receipt.`),
			requirement(
				101,
				'RFC 7606 §5.1',
				`On send: MP_REACH or MP_UNREACH comes first, and an UPDATE carries only one of
				withdrawn, NLRI, MP_REACH, MP_UNREACH. On receipt every mix and order is accepted.`,
			),
			requirement(
				102,
				'RFC 4271 §4.3',
				`Same prefix in withdrawn and in NLRI of one UPDATE: treated as if it were not in
				withdrawn.`,
			),
			requirement(
				103,
				'RFC 7606 §5.2',
				`Attributes present, no reachable NLRI anywhere, and an error stronger than discard:
				session reset (nothing to withdraw).`,
			),
			requirement(
				104,
				'RFC 7606 §5.3',
				`Prefix length > 32 (> 128), or prefix cut off, in NLRI, Withdrawn Routes, MP_REACH or
				MP_UNREACH: session reset (3/10, or 3/9 for MP) or AFI/SAFI disable.`,
			),
			requirement(
				105,
				'RFC 7606 §3(i), §3(j)',
				`Treat-as-withdraw is only allowed when all NLRI fields parsed; otherwise session reset.`,
			),
			requirement(
				106,
				'RFC 4271 §6.3',
				`Semantically wrong NLRI (e.g. multicast) is logged and ignored; the rest of the UPDATE
				stands.`,
			),
			requirement(
				107,
				'RFC 4271 §4.3',
				`Trailing bits of a prefix beyond its length are ignored: 10.1.1.255/24 and 10.1.1.0/24
				are the same route.`,
			),
			requirement(108, 'RFC 4271 §4.3', `Length 0 prefix (default route) is one octet.`),
			requirement(
				109,
				'RFC 4724 §2',
				`End-of-RIB: empty UPDATE for IPv4 unicast, MP_UNREACH with AFI/SAFI only for others.
				Neither is an error.`,
			),
			requirement(110, 'RFC 4271 §4.3', `An UPDATE with attributes and no NLRI is legal and changes nothing.`),
		],
	},
	{
		title: 'Values of path attributes',
		requirements: [
			requirement(111, 'RFC 7606 §7.1', `ORIGIN: length other than 1 or value > 2: treat-as-withdraw.`),
			requirement(
				112,
				'RFC 7606 §7.2',
				`AS_PATH: unknown segment type, segment count 0, or over/underrun: treat-as-withdraw.`,
			),
			requirement(
				113,
				'RFC 4271 §6.3',
				`eBGP: first AS of AS_PATH is not the peer AS: may be refused (configurable; must be off
				for route-server clients), as malformed AS_PATH.`,
			),
			requirement(
				114,
				'RFC 5065 §5',
				`Confederation segments (types 3, 4) from a peer outside the confederation: malformed
				AS_PATH.`,
			),
			requirement(
				115,
				'RFC 7607 §2',
				`AS 0 in AS_PATH or AS4_PATH: malformed AS_PATH handling. In AGGREGATOR or
				AS4_AGGREGATOR: that attribute is discarded. Never originated.`,
			),
			requirement(116, 'RFC 7606 §7.3', `NEXT_HOP length other than 4: treat-as-withdraw.`),
			requirement(
				117,
				'RFC 4271 §6.3; RFC 7606 §3(e)',
				`NEXT_HOP that is no valid host address (0.0.0.0, class D/E, broadcast): treat-as-
				withdraw (3/8 in the old text).`,
			),
			requirement(
				118,
				'RFC 4271 §6.3',
				`NEXT_HOP equal to an own address, or (single-hop eBGP) not on the shared subnet: log and
				ignore the route, no NOTIFICATION.`,
			),
			requirement(119, 'RFC 7606 §7.4', `MULTI_EXIT_DISC length other than 4: treat-as-withdraw.`),
			requirement(
				120,
				'RFC 7606 §7.5; RFC 4271 §5.1.5',
				`LOCAL_PREF from eBGP: discarded with any content. From iBGP with length other than 4:
				treat-as-withdraw. Never sent to eBGP.`,
			),
			requirement(
				121,
				'RFC 4271 §5.1.5',
				`LOCAL_PREF is in every UPDATE to iBGP; a missing one from iBGP is treated as the default
				or as error by policy, not as crash.`,
			),
			requirement(122, 'RFC 7606 §7.6', `ATOMIC_AGGREGATE length other than 0: discard.`),
			requirement(
				123,
				'RFC 7606 §7.7',
				`AGGREGATOR length other than 6 (2-octet session) or 8 (4-octet session): discard.`,
			),
			requirement(124, 'RFC 7606 §7.8', `COMMUNITIES: length not a non-zero multiple of 4: treat-as-withdraw.`),
			requirement(
				125,
				'RFC 7606 §7.9, §7.10',
				`ORIGINATOR_ID and CLUSTER_LIST from eBGP: discarded. From iBGP with bad length (4; non-
				zero multiple of 4): treat-as-withdraw.`,
			),
			requirement(
				126,
				'RFC 7606 §7.11',
				`MP_REACH_NLRI: next-hop length not fitting the AFI/SAFI (and RFC 8950 state): session
				reset or AFI/SAFI disable.`,
			),
			requirement(
				127,
				'RFC 4760 §3',
				`MP_REACH: the reserved octet (old SNPA count) is sent 0 and ignored on receipt.`,
			),
			requirement(128, 'RFC 2545 §3', `IPv6 next hop is 16 or 32 octets (global, or global + link-local).`),
			requirement(
				129,
				'RFC 4760 §6',
				`MP attributes for an AFI/SAFI that was not negotiated are ignored (no crash, no reset).`,
			),
			requirement(
				130,
				'RFC 7606 §7.14',
				`EXTENDED COMMUNITIES: length not a non-zero multiple of 8: treat-as-withdraw. Unknown
				types are no error.`,
			),
			requirement(
				131,
				'RFC 7606 §7.15',
				`IPv6 extended communities: non-zero multiple of 20, otherwise treat-as-withdraw.`,
			),
			requirement(
				132,
				'RFC 8092 §6',
				`LARGE_COMMUNITY: length not a non-zero multiple of 12: treat-as-withdraw; zero length
				included.`,
			),
			requirement(
				133,
				'RFC 8092 §3, §5',
				`Duplicate large communities are removed on receipt and not sent; all three parts are
				32-bit, canonical text form is a:b:c decimal.`,
			),
			requirement(
				134,
				'RFC 4271 §5.1.2',
				`AS_PATH to eBGP: own AS is prepended (new AS_SEQUENCE if the first segment is a set or
				already holds 255). To iBGP: unchanged. Locally originated to iBGP: empty.`,
			),
			requirement(
				135,
				'RFC 4271 §5.1.3',
				`NEXT_HOP to iBGP for eBGP-learned routes is unchanged by default; to eBGP it is the own
				address on that session (or a third-party address on the shared subnet).`,
			),
			requirement(
				136,
				'RFC 4271 §5.1.4',
				`MED learned from one AS is not passed to another AS; it is passed within the AS.`,
			),
			requirement(137, 'RFC 4271 §5.1.6, §5.1.7', `ATOMIC_AGGREGATE and AGGREGATOR are kept when passing on.`),
			requirement(
				138,
				'RFC 4271 §9.1.2',
				`A route whose AS_PATH holds the own AS is never selected (allowas-in only by
				configuration).`,
			),
			requirement(
				139,
				'RFC 1997',
				`NO_EXPORT (65535:65281) not to eBGP, NO_ADVERTISE (65282) to no peer,
				NO_EXPORT_SUBCONFED (65283) not to eBGP nor to other member ASes.`,
			),
			requirement(
				140,
				'RFC 1997; RFC 4360 §6',
				`COMMUNITIES are passed on unchanged unless policy edits them; non-transitive extended
				communities (type bit 0x40) are not sent to other ASes.`,
			),
			requirement(
				141,
				'RFC 4271 §4.3',
				`Encode(decode(x)) is byte-identical for canonical input; decode(encode(r)) = r for every
				route.`,
			),
		],
	},
	{
		title: 'Four-octet AS numbers',
		requirements: [
			requirement(
				142,
				'RFC 6793 §4.1',
				`Between two 4-octet speakers AS_PATH and AGGREGATOR use 4 octets, and AS4_PATH /
				AS4_AGGREGATOR are not sent; if received they are dropped.`,
			),
			requirement(
				143,
				'RFC 6793 §4.2.2',
				`To a 2-octet speaker: AS numbers > 65535 become 23456, and AS4_PATH carries the real
				path (without confederation segments) if any number was mapped.`,
			),
			requirement(
				144,
				'RFC 6793 §4.2.2',
				`AGGREGATOR to a 2-octet speaker is mapped the same way, with AS4_AGGREGATOR (8 octets)
				added.`,
			),
			requirement(
				145,
				'RFC 6793 §4.2.3',
				`From a 2-octet speaker: AGGREGATOR present with AS other than 23456: AS4_AGGREGATOR and
				AS4_PATH are both ignored.`,
			),
			requirement(
				146,
				'RFC 6793 §4.2.3',
				`AS_PATH shorter (in count) than AS4_PATH: AS4_PATH ignored; otherwise leading part of
				AS_PATH is prepended to AS4_PATH.`,
			),
			requirement(
				147,
				'RFC 6793 §6',
				`Malformed AS4_PATH or AS4_AGGREGATOR: discarded, UPDATE processed on. Confederation
				segments in AS4_PATH: those segments are dropped.`,
			),
			requirement(
				148,
				'RFC 6793 §4',
				`2-octet and 4-octet peers at the same time: each gets its own encoding of the same
				route.`,
			),
		],
	},
	{
		title: 'Decision process and Adj-RIB-Out',
		requirements: [
			requirement(
				149,
				'RFC 4271 §9.1.2',
				`A route without reachable NEXT_HOP is not eligible. Recursion is limited and may not
				depend on the route itself.`,
			),
			requirement(
				150,
				'RFC 4271 §9.1.1',
				`iBGP routes are compared by received LOCAL_PREF; eBGP routes by locally computed
				preference (default 100).`,
			),
			requirement(
				151,
				'RFC 4271 §9.1.2.2 (a)',
				`Shortest AS_PATH; an AS_SET counts 1, confederation segments count 0.`,
			),
			requirement(152, 'RFC 4271 §9.1.2.2 (b)', `Lowest ORIGIN (IGP < EGP < INCOMPLETE).`),
			requirement(
				153,
				'RFC 4271 §9.1.2.2 (c)',
				`Lowest MED, only among routes of the same neighbouring AS; missing MED counts as 0
				(lowest).`,
			),
			requirement(
				154,
				'RFC 4271 §9.1.2.2 (c)',
				`MED comparison is done by group removal, not pairwise, so that the outcome does not
				depend on arrival order (deterministic MED).`,
			),
			requirement(155, 'RFC 4271 §9.1.2.2 (d)', `eBGP over iBGP.`),
			requirement(156, 'RFC 4271 §9.1.2.2 (e)', `Lowest interior cost to NEXT_HOP.`),
			requirement(
				157,
				'RFC 4271 §9.1.2.2 (f); RFC 4456 §9',
				`Lowest BGP Identifier of the sender; ORIGINATOR_ID takes its place if present.`,
			),
			requirement(158, 'RFC 4456 §9', `Then shortest CLUSTER_LIST (absent = 0).`),
			requirement(159, 'RFC 4271 §9.1.2.2 (g)', `Lowest peer address.`),
			requirement(
				160,
				'RFC 4271 §9.1.4',
				`Overlapping (less and more specific) routes are both installed and both advertised.`,
			),
			requirement(
				161,
				'RFC 4271 §9.1.3',
				`A route is advertised only if it is the selected one (except with add-path); iBGP-
				learned routes are not sent to iBGP peers (except by reflection).`,
			),
			requirement(
				162,
				'RFC 4271 §9.1.3',
				`When the best route changes, exactly one UPDATE (implicit replace) or one withdraw is
				sent; nothing if the outgoing attributes are the same.`,
			),
			requirement(
				163,
				'RFC 4271 §9.2',
				`A route is not sent back to the peer it came from (or is withdrawn there, when the best
				path moves to that peer).`,
			),
			requirement(
				164,
				'RFC 4271 §9.2.1.1',
				`MRAI per peer: withdrawals may go at once; advertised state converges to the last one
				after the interval.`,
				`Not implemented: changes are sent at once, folded to the last state for a slow neighbour.`,
			),
			requirement(
				165,
				'RFC 4271 §9.1',
				`The result (Loc-RIB and Adj-RIB-Out) is a function of the Adj-RIBs-In only: every
				permutation of arrival order gives the same final state.`,
			),
			requirement(
				166,
				'RFC 4271 §3.2',
				`Session loss removes all routes of this peer, re-runs selection, and withdraws from
				others; after re-establishment the full Adj-RIB-Out is sent again.`,
			),
			requirement(
				167,
				'RFC 4271 §3.1',
				`A second announcement of a prefix replaces the first (implicit withdraw); a withdraw of
				an unknown prefix is no error.`,
			),
		],
	},
	{
		title: 'Route reflection',
		requirements: [
			requirement(
				168,
				'RFC 4456 §6',
				`From a non-client: reflect to clients only. From a client: to all non-clients and all
				other clients. From eBGP: to all.`,
			),
			requirement(169, 'RFC 4456 §6', `Client-to-client reflection can be switched off when clients are fully meshed.`),
			requirement(
				170,
				'RFC 4456 §8',
				`ORIGINATOR_ID (type 9, optional non-transitive, 4 octets) is set by the first reflector
				to the identifier of the originator in the AS, and never overwritten.`,
			),
			requirement(171, 'RFC 4456 §8', `A received route with ORIGINATOR_ID = own identifier is ignored.`),
			requirement(
				172,
				'RFC 4456 §8',
				`CLUSTER_LIST (type 10, optional non-transitive): the own CLUSTER_ID is put in front on
				each reflection; it is created if absent.`,
			),
			requirement(173, 'RFC 4456 §8', `A received route whose CLUSTER_LIST holds the own CLUSTER_ID is ignored.`),
			requirement(
				174,
				'RFC 4456 §7',
				`CLUSTER_ID defaults to the BGP Identifier and can be set; two reflectors with the same
				CLUSTER_ID do not accept each other's reflected routes.`,
			),
			requirement(
				175,
				'RFC 4456 §10',
				`A reflector does not change NEXT_HOP, AS_PATH, LOCAL_PREF, MED or any other attribute of
				a reflected route.`,
			),
			requirement(
				176,
				'RFC 4456 §8',
				`ORIGINATOR_ID and CLUSTER_LIST are not sent over eBGP, and are not added to routes
				learned from eBGP or originated locally.`,
			),
			requirement(177, 'RFC 4456 §6', `A route is not reflected to the client it came from.`),
			requirement(
				178,
				'RFC 4456 §9',
				`Unknown transitive attributes, communities and add-path path-ids do not prevent
				reflection.`,
			),
			requirement(
				179,
				'RFC 4456 §11',
				`Several reflectors and hierarchy: no persistent loop; a withdrawal by the originator
				disappears everywhere in bounded time.`,
			),
			requirement(
				180,
				'RFC 4456 §6',
				`Clients and non-clients can be re-classified by configuration: exports follow the new
				class.`,
			),
			requirement(
				181,
				'RFC 4456 §8; RFC 7911 §3',
				`With add-path the reflector can send all (or N) paths; each path carries its own
				ORIGINATOR_ID and CLUSTER_LIST.`,
			),
		],
	},
	{
		title: 'Address families and next hops',
		requirements: [
			requirement(
				182,
				'RFC 4760 §3, §4',
				`MP_REACH type 14 and MP_UNREACH type 15, both optional non-transitive; several prefixes
				per attribute.`,
			),
			requirement(
				183,
				'RFC 4760 §7',
				`A wrong MP attribute may disable only that AFI/SAFI: its routes are removed and later
				ones ignored for the life of the session.`,
				`RFC 7606 allows a reset instead, which is what happens.`,
			),
			requirement(
				184,
				'RFC 8950 §3',
				`IPv4 NLRI with a 16 or 32 octet IPv6 next hop is sent only after capability 5 for 1/1/2
				was received, in MP_REACH.`,
			),
			requirement(185, 'RFC 8950 §4', `Without it such an UPDATE gets next-hop-length error handling.`),
			requirement(
				186,
				'RFC 2545 §2, §3',
				`A link-local second next hop is sent only if the peer shares the link with the next hop.`,
			),
			requirement(187, 'RFC 4760 §3', `IPv4 unicast may arrive in NLRI or in MP_REACH 1/1; both fill the same table.`),
		],
	},
	{
		title: 'Route refresh',
		requirements: [
			requirement(
				188,
				'RFC 2918 §4',
				`ROUTE-REFRESH for a negotiated AFI/SAFI causes re-advertisement of its Adj-RIB-Out; for
				any other AFI/SAFI it is ignored.`,
			),
			requirement(189, 'RFC 2918 §4', `It is not sent to a peer that did not advertise the capability.`),
			requirement(
				190,
				'RFC 7313 §4',
				`Both sides have code 70: BoRR (subtype 1) is sent before and EoRR (subtype 2) after the
				re-advertisement.`,
			),
			requirement(
				191,
				'RFC 7313 §4',
				`BoRR received: all routes of the AFI/SAFI are marked stale; at EoRR the ones still stale
				are removed. A refreshed route is unmarked.`,
			),
			requirement(
				192,
				'RFC 7313 §4',
				`EoRR without BoRR is ignored; a second BoRR restarts marking; a lost EoRR is bounded by
				a timer if configured.`,
			),
			requirement(
				193,
				'RFC 7313 §4',
				`BoRR is not sent before the initial End-of-RIB towards a peer with graceful restart.`,
			),
			requirement(194, 'RFC 7313 §5', `Unknown subtype is ignored.`),
			requirement(
				195,
				'RFC 2918 §4',
				`Soft reconfiguration after policy change works with refresh as well as with stored Adj-
				RIB-In; no session flap.`,
			),
		],
	},
	{
		title: 'Additional paths',
		requirements: [
			requirement(
				196,
				'RFC 7911 §3',
				`A 4-octet path identifier stands before each prefix, in NLRI, Withdrawn and MP fields of
				the negotiated AFI/SAFI only.`,
			),
			requirement(
				197,
				'RFC 7911 §3',
				`Routes are keyed by (prefix, path-id) per peer: the same id replaces, another id adds, a
				withdraw hits only its id.`,
			),
			requirement(
				198,
				'RFC 7911 §2',
				`Path ids are locally chosen and need not be kept from the received ones; one id per path
				per prefix towards a peer stays stable while the path lives.`,
			),
			requirement(
				199,
				'RFC 7911 §5',
				`Session loss or refresh handles all paths; the withdraw of the best path must not
				withdraw the others.`,
			),
			requirement(200, 'RFC 7911 §4', `Same AFI/SAFI twice in capability 69: last one counts (or first, but fixed).`),
			requirement(
				201,
				'RFC 4271 §4.1; RFC 7911 §3',
				`Error: encoding mismatch must not desynchronize the TCP stream (message borders rule).`,
			),
		],
	},
	{
		title: 'Graceful and long-lived graceful restart',
		requirements: [
			requirement(
				202,
				'RFC 4724 §4.1',
				`Restarting speaker: R bit set in the first OPEN; best path selection is deferred until
				End-of-RIB of all restarting-capable peers, or a timer.`,
			),
			requirement(
				203,
				'RFC 4724 §4.1',
				`End-of-RIB is sent per AFI/SAFI after the initial dump, also when there are no routes.`,
			),
			requirement(
				204,
				'RFC 4724 §4.2',
				`Helper: TCP loss without NOTIFICATION keeps the routes of AFI/SAFIs in the last
				capability 64, marked stale.`,
			),
			requirement(205, 'RFC 4724 §4.2', `Session not back within Restart Time: stale routes are removed.`),
			requirement(
				206,
				'RFC 4724 §4.2',
				`On re-establishment: F bit 0, or AFI/SAFI missing, or no capability 64: its stale routes
				are removed at once.`,
			),
			requirement(
				207,
				'RFC 4724 §4.2',
				`Re-announced routes lose the stale mark; at End-of-RIB the remaining stale ones are
				removed (or at a local stale timer).`,
			),
			requirement(208, 'RFC 4724 §4.2', `Second restart while stale: routes already stale are removed.`),
			requirement(
				209,
				'RFC 4724 §4.2',
				`Stale routes are not preferred less (plain GR) and are not withdrawn from others
				meanwhile.`,
			),
			requirement(
				210,
				'RFC 4724 §5',
				`A new TCP connection + OPEN from a GR-capable peer while Established: the old connection
				is dropped silently (treated as TCP failure), not by collision rules.`,
			),
			requirement(211, 'RFC 4724 §4', `NOTIFICATION (without RFC 8538) ends GR: routes are removed.`),
			requirement(
				212,
				'RFC 8538 §2, §4',
				`N bit on both sides: NOTIFICATION other than Hard Reset, and hold timer expiry, are
				treated as TCP loss (stale routes kept).`,
			),
			requirement(
				213,
				'RFC 8538 §3',
				`Hard Reset (6/9): data = the encapsulated code, subcode, data; receiver drops all
				routes. Used for admin shutdown and the like.`,
			),
			requirement(214, 'RFC 8538 §4', `Without the N bit of the peer, Hard Reset is not sent.`),
			requirement(
				215,
				'RFC 9494 §4.2',
				`After Restart Time the long-lived period starts: routes get LLGR_STALE (65535:6), are
				kept for the stale time; 0 means no LLGR for this AFI/SAFI.`,
			),
			requirement(216, 'RFC 9494 §4.2', `Routes with NO_LLGR (65535:7) are removed at that moment.`),
			requirement(
				217,
				'RFC 9494 §4.3, §4.4',
				`LLGR-stale routes (marked here or received marked) lose against every route that is not,
				before any other tie-break.`,
			),
			requirement(
				218,
				'RFC 9494 §4.3, §4.6',
				`They are not sent to peers without capability 71 (existing ones are withdrawn), except
				with the partial-deployment option: then NO_EXPORT is added and LOCAL_PREF is 0 on iBGP.`,
			),
			requirement(
				219,
				'RFC 9494 §4.2, §4.3',
				`LLGR_STALE is not removed when passing on; re-advertised fresh routes clear the local
				stale state.`,
			),
			requirement(220, 'RFC 9494 §4.2', `Restart Time 0 with LLGR time > 0: long-lived phase starts at once.`),
		],
	},
	{
		title: 'Policy and security',
		requirements: [
			requirement(
				221,
				'RFC 8212 §2, §3',
				`eBGP without import policy: no route is eligible. Without export policy: no route is
				sent. Explicit policy "accept all" restores it. iBGP is not affected.`,
			),
			requirement(
				222,
				'RFC 9234 §5',
				`OTC: type 35, optional transitive, length 4; other length: treat-as-withdraw. Only for
				AFI 1/2 SAFI 1.`,
			),
			requirement(
				223,
				'RFC 9234 §5',
				`Ingress: OTC present from Customer or RS-Client: leak, not eligible. OTC present from
				Peer and not equal to the peer AS: leak, not eligible.`,
			),
			requirement(224, 'RFC 9234 §5', `Ingress: no OTC from Provider, Peer or RS: OTC = peer AS is added.`),
			requirement(
				225,
				'RFC 9234 §5',
				`Egress: to Customer, Peer, RS-Client without OTC: OTC = own AS is added. With OTC: not
				sent to Provider, Peer or RS.`,
			),
			requirement(226, 'RFC 9234 §5', `Once set, OTC is never changed.`),
			requirement(
				227,
				'RFC 5082 §3',
				`GTSM: TTL 255 on send; received packets with TTL < 255 - hops + 1 are dropped before BGP
				sees them; only on single-hop (or configured hop count) peers.`,
			),
			requirement(
				228,
				'RFC 4271 §5.1.3; RFC 5082 §3',
				`eBGP without multihop uses TTL 1; multihop uses the configured TTL.`,
			),
			requirement(
				229,
				'RFC 2385 §2, §4',
				`TCP MD5: SYN without or with wrong digest gets no answer; a password change without
				session reset works if done on both sides within the hold time.`,
			),
			requirement(
				230,
				'RFC 7606 §2; RFC 4271 §6',
				`No received byte sequence crashes the process, leaks memory, or stops other sessions
				(fuzz).`,
			),
			requirement(
				231,
				'RFC 4272',
				`Log text from the peer (shutdown message, hostnames) is escaped; logging of malformed
				messages is rate-limited and has hex of the message.`,
			),
		],
	},
	{
		title: 'Scale and liveness',
		requirements: [
			requirement(
				232,
				'',
				`Full table (577 737 announcements, 89 679 real UPDATEs) is received, selected, and re-
				sent to N peers within a stated time; keepalives of all sessions continue meanwhile.`,
			),
			requirement(
				233,
				'',
				`A slow reader (zero window) neither blocks other peers nor grows memory without bound
				(per-peer queue collapses to the last state).`,
			),
			requirement(
				234,
				'',
				`Churn replay of real timestamps: final Loc-RIB equals the one computed offline from the
				same stream.`,
			),
			requirement(235, '', `Session flap during the full-table transfer leaves no ghost routes in any Adj-RIB-Out.`),
		],
	},
];
