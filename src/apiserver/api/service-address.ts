import { addressBytes, formatAddress, parsePrefix } from '../../core/index.ts';
import { arrayAt, type JsonObject, objectAt, textAt } from '../../json/index.ts';
import type { Api } from './types.ts';

/** Allocates a cluster IP for a Service that requests one. */
export function withServiceAddress(api: Api, service: JsonObject): JsonObject {
	const spec = objectAt(service, 'spec');
	if (textAt(spec, 'type') === 'ExternalName' || (textAt(spec, 'clusterIP') ?? '') !== '') return service;
	const taken = new Set<string>();
	for (const { value } of api.store.scanLatest('/services'))
		for (const address of arrayAt(value, 'spec', 'clusterIPs')) taken.add(String(address));
	const clusterIP = freeAddress(api, taken);
	return { ...service, spec: { ...spec, clusterIP, clusterIPs: [clusterIP] } };
}

/** A random free address of the range, except the first and the last one. */
function freeAddress({ serviceCidr, random }: Api, taken: ReadonlySet<string>): string {
	const { bytes, family, length } = parsePrefix(serviceCidr);
	const size = 2 ** Math.min(addressBytes[family] * 8 - length, 30);
	const start = 2 + Math.floor(random() * (size - 3));
	for (let step = 0; step < size; step++) {
		const offset = 2 + ((start - 2 + step) % (size - 3));
		const address = new Uint8Array(bytes);
		new DataView(address.buffer).setUint32(
			address.length - 4,
			(new DataView(address.buffer).getUint32(address.length - 4) + offset) >>> 0,
		);
		const text = formatAddress(address);
		if (!taken.has(text)) return text;
	}
	throw new Error(`no free address in ${serviceCidr}`);
}
