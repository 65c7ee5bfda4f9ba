import { AddressError, canonicalAddress } from '../core/index.ts';
import { isObject, type JsonObject, type JsonValue, textAt } from '../json/index.ts';
import { textMembers } from './convert/metadata.ts';
import type { NamedPort } from './convert/resources.ts';
import { ProtocolNumber } from './rules.ts';

/** What policy needs to know of a pod; everything else of it is dropped at once. */
export interface PodFacts {
	/** `NAMESPACE/NAME`. */
	readonly key: string;
	readonly namespace: string;
	readonly name: string;
	readonly node: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly serviceAccount?: string;
	/** Canonical; empty while the pod has none yet. */
	readonly addresses: readonly string[];
	readonly ports: readonly NamedPort[];
	/** Deletion has begun: another pod that has the same address wins. */
	readonly ending: boolean;
}

/**
 * Reads a Pod. `undefined`: it is no workload endpoint: not scheduled, in its node's network,
 * finished, or its network is already taken down. A pod that ends keeps its policy until then.
 */
export function toPodFacts(raw: JsonObject): PodFacts | undefined {
	const metadata = member(raw, 'metadata');
	const spec = member(raw, 'spec');
	const status = member(raw, 'status');
	const [name, namespace, node] = [textAt(metadata, 'name'), textAt(metadata, 'namespace'), textAt(spec, 'nodeName')];
	if (name === undefined || namespace === undefined || node === undefined || node === '') return undefined;
	const phase = textAt(status, 'phase');
	if (spec['hostNetwork'] === true || phase === 'Succeeded' || phase === 'Failed') return undefined;
	const annotations = member(metadata, 'annotations');
	const ending = textAt(metadata, 'deletionTimestamp') !== undefined;
	// The CNI plugin writes the annotation before the kubelet writes the status, and empties it when
	// the network is gone.
	const annotated =
		textAt(annotations, 'cni.projectcalico.org/podIPs') ?? textAt(annotations, 'cni.projectcalico.org/podIP');
	if (ending && annotated === '') return undefined;
	const account = textAt(spec, 'serviceAccountName');
	return {
		key: `${namespace}/${name}`,
		namespace,
		name,
		node,
		labels: textMembers(member(metadata, 'labels')),
		...(account === undefined || account === '' ? {} : { serviceAccount: account }),
		addresses: addressesOf(annotated, status),
		ports: [...items(spec['initContainers']), ...items(spec['containers'])].flatMap((container) =>
			items(container['ports']).flatMap(namedPort),
		),
		ending,
	};
}

function addressesOf(annotated: string | undefined, status: JsonObject): readonly string[] {
	const texts =
		annotated !== undefined && annotated !== ''
			? annotated.split(',')
			: [textAt(status, 'podIP') ?? '', ...items(status['podIPs']).map((entry) => textAt(entry, 'ip') ?? '')];
	const addresses = texts.flatMap((text) => {
		try {
			const address = text.replace(/\/\d+$/, '').trim();
			return address === '' ? [] : [canonicalAddress(address)];
		} catch (error) {
			if (error instanceof AddressError) return [];
			throw error;
		}
	});
	return [...new Set(addresses)];
}

const protocols: Readonly<Record<string, number>> = {
	TCP: ProtocolNumber.TCP,
	UDP: ProtocolNumber.UDP,
	SCTP: ProtocolNumber.SCTP,
};

function namedPort(port: JsonObject): NamedPort[] {
	const name = textAt(port, 'name');
	// Absent: the API server writes TCP.
	const protocol = protocols[textAt(port, 'protocol') ?? 'TCP'];
	const number = port['containerPort'];
	if (name === undefined || name === '' || protocol === undefined || typeof number !== 'number') return [];
	return [{ name, protocol, port: number }];
}

const member = (object: JsonObject, name: string): JsonObject => {
	const value = object[name];
	return isObject(value) ? value : {};
};

const items = (value: JsonValue | undefined): readonly JsonObject[] =>
	Array.isArray(value) ? value.filter(isObject) : [];
