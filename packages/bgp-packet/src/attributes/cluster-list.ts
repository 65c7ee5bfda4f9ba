import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

const badLength = fault('treat-as-withdraw', 'CLUSTER_LIST is no non-empty list of 4 bytes');
const fromOutside = fault('attribute-discard', 'CLUSTER_LIST from an external neighbor');

/** CLUSTER_LIST: cluster IDs passed through, most recent first. RFC 4456 §8, RFC 7606 §7.10. */
export const clusterList: AttributeCodec<'clusterList', readonly number[]> = {
	name: 'clusterList',
	code: AttributeCode.clusterList,
	flags: AttributeFlag.optional,
	refused: { sender: 'external', fault: fromOutside },
	check: (_bytes, start, end) => (end > start && (end - start) % 4 === 0 ? undefined : badLength),
	decode: (reader) => Array.from({ length: reader.remaining / 4 }, () => reader.u32()),
	encode(writer, ids) {
		for (const id of ids) writer.u32(id);
	},
};
