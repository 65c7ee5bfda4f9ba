import type { Nlri, UpdateMessage } from 'bgp-packet';

import { formatAddress, formatPrefix } from '../../src/core/index.ts';

const originNames = { igp: 'IGP', egp: 'EGP', incomplete: 'INCOMPLETE' } as const;
const communityNames: Readonly<Record<number, string>> = {
	[0xffffff01]: 'no-export',
	[0xffffff02]: 'no-advertise',
	[0xffffff03]: 'local-AS',
};
const prefixText = ({ bytes, length }: Nlri) => formatPrefix(bytes, length);
const community = (value: number) => communityNames[value] ?? `${value >>> 16}:${value & 0xffff}`;
const ip = (id: number) => formatAddress(Uint8Array.of(id >>> 24, id >>> 16, id >>> 8, id));

/** The fields that `bgpdump -m` prints after the prefix of an announcement. */
export function attributeText(
	{ asPath, origin, nextHop, localPref, med, communities, atomicAggregate, aggregator }: UpdateMessage['attributes'],
	hop: string,
): string {
	const path = (asPath ?? [])
		.map(({ type, asNumbers }) => (type === 'set' ? `{${asNumbers.join(',')}}` : asNumbers.join(' ')))
		.join(' ');
	const via = nextHop === undefined ? hop : formatAddress(nextHop);
	const aggregated = aggregator === undefined ? '' : `${aggregator.asNumber} ${ip(aggregator.routerId)}`;
	return [
		path,
		origin === undefined ? '' : originNames[origin],
		via,
		localPref ?? 0,
		med ?? 0,
		(communities ?? []).map(community).join(' '),
		atomicAggregate ? 'AG' : 'NAG',
		aggregated,
		'',
	].join('|');
}

/** The lines of an UPDATE as `bgpdump -m` prints them, without the fields before `A` or `W`. */
export function updateLines(update: UpdateMessage, peer: string): string[] {
	const { mpReach, mpUnreach } = update.attributes;
	const reached = mpReach?.routes.type === 'prefixes' ? mpReach.routes.nlri : [];
	const unreached = mpUnreach?.routes.type === 'prefixes' ? mpUnreach.routes.nlri : [];
	const hop = mpReach === undefined ? '' : formatAddress(mpReach.nextHop.subarray(0, 16));
	return [
		...[...update.withdrawn, ...unreached].map((prefix) => `W|${peer}|${prefixText(prefix)}`),
		...update.nlri.map((prefix) => `A|${peer}|${prefixText(prefix)}|${attributeText(update.attributes, hop)}`),
		...reached.map(
			(prefix) =>
				`A|${peer}|${prefixText(prefix)}|${attributeText({ ...update.attributes, nextHop: mpReach?.nextHop.subarray(0, 16) ?? new Uint8Array(0) }, hop)}`,
		),
	];
}
