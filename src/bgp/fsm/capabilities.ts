import { Afi, type Capability, escapeText, Safi } from 'bgp-packet';
import type { Family } from '../../core/index.ts';
import type { Role } from '../model/negotiated.ts';
import type { PeerOptions } from '../model/peer-options.ts';
import type { RestartOptions } from '../model/speaker-options.ts';

/** The capabilities of one OPEN, sent or received, in one form. */
export interface CapabilitySummary {
	/** IPv4 if no multiprotocol capability was sent (RFC 4760 §8). */
	readonly families: ReadonlySet<Family>;
	readonly fourOctetAs: number | undefined;
	readonly routeRefresh: boolean;
	readonly enhancedRefresh: boolean;
	readonly extendedMessage: boolean;
	readonly gracefulRestart: GracefulRestartSummary | undefined;
	/** Stale seconds by family (RFC 9494 §3); empty without graceful restart. */
	readonly longLived: ReadonlyMap<Family, number>;
	readonly addPath: ReadonlyMap<Family, { readonly receive: boolean; readonly send: boolean }>;
	/** IPv4 unicast with an IPv6 next hop. */
	readonly extendedNextHop: boolean;
	readonly roles: ReadonlySet<Role | number>;
}

interface GracefulRestartSummary {
	readonly restarting: boolean;
	readonly notification: boolean;
	readonly restartSeconds: number;
	readonly forwarding: ReadonlyMap<Family, boolean>;
}

const afis: Readonly<Record<Family, number>> = { ipv4: Afi.ipv4, ipv6: Afi.ipv6 };

/** The family of an AFI and SAFI; `undefined` for unsupported ones. */
export function familyFor(afi: number, safi: number): Family | undefined {
	if (safi !== Safi.unicast) return undefined;
	return afi === Afi.ipv4 ? 'ipv4' : afi === Afi.ipv6 ? 'ipv6' : undefined;
}

/** The AFI and SAFI of a family. */
export function afiSafi(family: Family): { afi: number; safi: number } {
	return { afi: afis[family], safi: Safi.unicast };
}

/** The capabilities for this peer, oldest codes first. */
export function ownCapabilities(
	options: PeerOptions,
	asNumber: number,
	external: boolean,
	restart: RestartOptions,
): Capability[] {
	const families = options.families.map(afiSafi);
	const capabilities: Capability[] = families.map((family) => ({ type: 'multiprotocol', ...family }));
	if (options.routeRefresh) capabilities.push({ type: 'route-refresh' });
	if (options.extendedNextHop) {
		capabilities.push({
			type: 'extended-next-hop',
			families: [{ afi: Afi.ipv4, safi: Safi.unicast, nextHopAfi: Afi.ipv6 }],
		});
	}
	if (options.extendedMessage) capabilities.push({ type: 'extended-message' });
	// RFC 9234 §4.1: only on eBGP.
	if (options.role !== undefined && external) capabilities.push({ type: 'role', role: options.role });
	if (options.gracefulRestart !== undefined) {
		const { restartSeconds, notification } = options.gracefulRestart;
		const forwarding = restart.forwardingPreserved;
		capabilities.push({
			type: 'graceful-restart',
			restarting: restart.restarting,
			notification,
			restartSeconds,
			families: families.map((family) => ({ ...family, forwarding })),
		});
	}
	if (options.fourOctetAs) capabilities.push({ type: 'four-octet-as', asNumber });
	const mode = addPathMode(options.addPath);
	if (mode !== undefined)
		capabilities.push({ type: 'add-path', families: families.map((family) => ({ ...family, mode })) });
	if (options.routeRefresh) capabilities.push({ type: 'enhanced-route-refresh' });
	// RFC 9494 §3: meaningless without capability 64.
	if (options.gracefulRestart !== undefined && options.longLivedStaleSeconds > 0) {
		const forwarding = restart.forwardingPreserved;
		const staleSeconds = options.longLivedStaleSeconds;
		capabilities.push({
			type: 'long-lived-graceful-restart',
			families: families.map((family) => ({ ...family, forwarding, staleSeconds })),
		});
	}
	return capabilities;
}

function addPathMode({ receive, send }: PeerOptions['addPath']): 'receive' | 'send' | 'both' | undefined {
	if (receive) return send ? 'both' : 'receive';
	return send ? 'send' : undefined;
}

/**
 * Reads capabilities; the last occurrence of a repeated one counts, families add up (RFC 5492 §4,
 * RFC 4724 §3, RFC 7911 §4).
 */
export function summarizeCapabilities(capabilities: readonly Capability[]): CapabilitySummary {
	const families = new Set<Family>();
	const addPath = new Map<Family, { receive: boolean; send: boolean }>();
	const longLived = new Map<Family, number>();
	const roles = new Set<Role | number>();
	let multiprotocol = false;
	let fourOctetAs: number | undefined;
	let gracefulRestart: GracefulRestartSummary | undefined;
	let extendedNextHop = false;
	for (const capability of capabilities) {
		switch (capability.type) {
			case 'multiprotocol': {
				multiprotocol = true;
				const family = familyFor(capability.afi, capability.safi);
				if (family !== undefined) families.add(family);
				break;
			}
			case 'four-octet-as':
				fourOctetAs = capability.asNumber;
				break;
			case 'graceful-restart':
				gracefulRestart = { ...capability, forwarding: familyMap(capability.families, ({ forwarding }) => forwarding) };
				break;
			case 'long-lived-graceful-restart':
				for (const [family, seconds] of familyMap(capability.families, ({ staleSeconds }) => staleSeconds))
					longLived.set(family, seconds);
				break;
			case 'add-path':
				for (const [family, mode] of familyMap(capability.families, ({ mode }) => mode)) {
					addPath.set(family, { receive: mode !== 'send', send: mode !== 'receive' });
				}
				break;
			case 'extended-next-hop':
				extendedNextHop ||= capability.families.some(
					({ afi, safi, nextHopAfi }) => afi === Afi.ipv4 && safi === Safi.unicast && nextHopAfi === Afi.ipv6,
				);
				break;
			case 'role':
				roles.add(capability.role);
				break;
		}
	}
	if (!multiprotocol) families.add('ipv4');
	if (gracefulRestart === undefined) longLived.clear();
	const has = (type: Capability['type']): boolean => capabilities.some((capability) => capability.type === type);
	return {
		families,
		fourOctetAs,
		routeRefresh: has('route-refresh'),
		enhancedRefresh: has('enhanced-route-refresh'),
		extendedMessage: has('extended-message'),
		gracefulRestart,
		longLived,
		addPath,
		extendedNextHop,
		roles,
	};
}

/** The last of several entries for one family counts. */
function familyMap<Entry extends { readonly afi: number; readonly safi: number }, Value>(
	entries: readonly Entry[],
	read: (entry: Entry) => Value,
): Map<Family, Value> {
	const values = new Map<Family, Value>();
	for (const entry of entries) {
		const family = familyFor(entry.afi, entry.safi);
		if (family !== undefined) values.set(family, read(entry));
	}
	return values;
}

/** One capability as text, for `bgpmesh peers PEER`. */
export function describeCapability(capability: Capability): string {
	switch (capability.type) {
		case 'multiprotocol':
			return `multiprotocol ${familyName(capability)}`;
		case 'four-octet-as':
			return `four-octet-as ${capability.asNumber}`;
		case 'role':
			return `role ${capability.role}`;
		case 'graceful-restart': {
			const flags = [
				...(capability.restarting ? ['restarting'] : []),
				...(capability.notification ? ['notification'] : []),
			];
			const families = capability.families.map(
				(family) => `${familyName(family)}${family.forwarding ? ' forwarding' : ''}`,
			);
			return ['graceful-restart', `${capability.restartSeconds}s`, ...flags, families.join(', ')]
				.filter((part) => part !== '')
				.join(' ');
		}
		case 'long-lived-graceful-restart':
			return (
				`${capability.type} ` +
				`${capability.families.map((family) => `${familyName(family)} ${family.staleSeconds}s`).join(', ')}`
			).trim();
		case 'add-path':
			return `add-path ${capability.families.map((family) => `${familyName(family)} ${family.mode}`).join(', ')}`;
		case 'extended-next-hop':
			return (
				'extended-next-hop ' +
				`${capability.families.map((family) => `${familyName(family)} over afi ${family.nextHopAfi}`).join(', ')}`
			);
		case 'unknown':
			return describeUnknown(capability.code, capability.value);
		default:
			return capability.type;
	}
}

/** Names of unsupported capabilities. */
const otherNames: Readonly<Record<number, string>> = {
	7: 'bgpsec',
	67: 'dynamic-capability',
	68: 'multisession',
	77: 'link-local-next-hop',
	128: 'old-route-refresh',
};

/** Text from the peer is shown escaped; other capabilities by number. */
function describeUnknown(code: number, value: Uint8Array): string {
	const [first = 0] = value;
	const text = (start: number, length: number) =>
		escapeText(Buffer.from(value.subarray(start, start + length)).toString());
	switch (code) {
		// Host and domain, each with a length prefix.
		case 73: {
			const domain = text(first + 2, value[first + 1] ?? 0);
			return `fqdn ${text(1, first)}${domain === '' ? '' : `.${domain}`}`;
		}
		case 75:
			return `software-version ${text(1, first)}`;
		default:
			return otherNames[code] ?? `unknown ${code}`;
	}
}

function familyName({ afi, safi }: { readonly afi: number; readonly safi: number }): string {
	return familyFor(afi, safi) ?? `${afi}/${safi}`;
}
