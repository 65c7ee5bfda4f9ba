import { type OptionContext, type PeerOptions, type PeerRangeOptions, readPeerOptions } from '../bgp/index.ts';
import type { Config, PeerConfig, PeerRangeConfig } from '../config/index.ts';

/** The MD5 keys by their file. */
export type PasswordKeys = ReadonlyMap<string, string>;

const contextOf = ({ bgp, policies }: Config, keys: PasswordKeys): OptionContext => ({
	ebgpRequiresPolicy: bgp?.ebgpRequiresPolicy ?? true,
	// The names were checked when the file was parsed.
	policies: (names) => names.flatMap((name) => policies[name] ?? []),
	md5Key: (file) => keys.get(file),
});

/** The options of a peer for the speaker. Pure. */
export function peerOptionsOf(config: Config, peer: PeerConfig, keys: PasswordKeys): PeerOptions {
	const { name, address, asNumber } = peer;
	return { ...readPeerOptions(peer, contextOf(config, keys)), name, address, asNumber };
}

/** The peers of a configuration by name; each is computed on access. Pure. */
export function optionsByName(config: Config, keys: PasswordKeys): (name: string) => PeerOptions | undefined {
	const peers = new Map(config.bgp?.peers.map((peer) => [peer.name, peer]));
	return (name) => {
		const peer = peers.get(name);
		return peer && peerOptionsOf(config, peer, keys);
	};
}

/** The options of a range of dynamic peers for the speaker. Pure. */
export function rangeOptionsOf(config: Config, range: PeerRangeConfig, keys: PasswordKeys): PeerRangeOptions {
	// The neighbour connects: its port, and what starts a session, are not options of a range.
	const { port: _port, enabled, passive: _passive, ...peer } = readPeerOptions(range, contextOf(config, keys));
	return {
		name: range.name,
		prefix: range.prefix,
		limit: enabled ? range.limit : 0,
		peer: { ...peer, asNumber: range.asNumber },
	};
}
