import { gzip } from 'node:zlib';
import { stringify as stringifyYaml } from 'yaml';
import { parseJson, stringifyJson } from '../../json/index.ts';

/** The properties of a request that determine the encoding of the response. */
export interface Wishes {
	readonly method: string;
	readonly accept: string;
	readonly acceptEncoding: string;
	readonly userAgent: string;
	/** The query parameter `pretty`, if present. */
	readonly pretty: string | undefined;
}

/** A body in the requested encoding. */
export interface Encoded {
	readonly contentType: string;
	readonly bytes: Uint8Array;
	readonly compressed: boolean;
}

/** As kube-apiserver: compression of smaller bodies does not pay. */
const leastCompressedBytes = 128 * 1024;
/** User agents of interactive clients; their responses are indented. */
const peoplesAgents = /^(curl|Wget|Mozilla\/5\.0)/;

/** Encodes a JSON text as YAML or JSON: indented for interactive clients, compressed if large. */
export async function encode(json: string, wishes: Wishes): Promise<Encoded> {
	const yaml = wantsYaml(wishes.accept);
	const indented =
		wishes.pretty === undefined || wishes.pretty === ''
			? peoplesAgents.test(wishes.userAgent)
			: !['false', '0'].includes(wishes.pretty);
	const text = yaml ? yamlOf(json) : indented ? `${stringifyJson(parseJson(json), 2)}\n` : `${json}\n`;
	const contentType = yaml ? 'application/yaml' : 'application/json';
	const bytes = Buffer.from(text);
	const compressible =
		wishes.method === 'GET' &&
		bytes.length >= leastCompressedBytes &&
		/(^|[\s,])gzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(wishes.acceptEncoding);
	if (!compressible) return { contentType, bytes, compressed: false };
	return {
		contentType,
		bytes: await new Promise<Uint8Array>((resolve, reject) =>
			gzip(bytes, { level: 1 }, (error, packed) => (error === null ? resolve(packed) : reject(error))),
		),
		compressed: true,
	};
}

/** True if YAML is the first supported format of an Accept header. */
function wantsYaml(accept: string): boolean {
	for (const choice of accept.split(',')) {
		const media = choice.split(';')[0]?.trim();
		if (media === 'application/yaml') return true;
		if (media === 'application/json' || media === '*/*' || media === 'application/*') return false;
	}
	return false;
}

const yamlOf = (json: string): string =>
	stringifyYaml(parseJson(json), { sortMapEntries: true, lineWidth: 0, indentSeq: false });
