/**
 * Our keys by the names that other BGP daemons and Calico give them, in lower case without hyphens
 * and underscores. Of several keys the first one that the map can have counts.
 */
export const ourNames: Readonly<Record<string, readonly string[]>> = {
	as: ['asNumber'],
	asn: ['asNumber'],
	autonomoussystem: ['asNumber'],
	dynamicneighbors: ['peerRanges'],
	ebgpmultihop: ['multihopTtl'],
	exportpolicy: ['exportPolicies'],
	holdtime: ['holdTimeSeconds'],
	importpolicy: ['importPolicies'],
	ip: ['address'],
	listenrange: ['peerRanges'],
	localas: ['localAsNumber', 'asNumber'],
	loglevel: ['log'],
	maximumprefix: ['maxPrefix'],
	md5: ['passwordFile'],
	md5key: ['passwordFile'],
	multihop: ['multihopTtl'],
	neighbor: ['peers', 'address'],
	neighboraddress: ['address'],
	neighbors: ['peers'],
	neighbour: ['peers', 'address'],
	neighbours: ['peers'],
	network: ['originate'],
	networks: ['originate'],
	password: ['passwordFile'],
	peeraddress: ['address'],
	peeras: ['asNumber'],
	peergroup: ['group', 'groups'],
	peerip: ['address'],
	prefixlimit: ['maxPrefix'],
	remoteas: ['asNumber'],
	routereflectorclient: ['reflectorClient'],
	rrclient: ['reflectorClient'],
	ttlsecurity: ['ttlSecurityHops'],
	updatesource: ['localAddress'],
};

/** The key of `known` for what other daemons call `given`. */
export function ourNameOf(given: string, known: readonly string[]): string | undefined {
	const names = new Map(Object.entries(ourNames)).get(given.toLowerCase().replaceAll(/[-_]/g, ''));
	return names?.find((name) => known.includes(name));
}
