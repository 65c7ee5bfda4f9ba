/** The backend `evaluate`: the semantics of the model itself, without a kernel. */

import type { Cell, TableBackend } from '../../../lab/truth-table.ts';
import { evaluate, formatBackend } from '../../../src/services/index.ts';
import { judgeBehaviour } from './behaviour.ts';
import { type PacketCase, prepare, type ServicesCase, verdictText } from './cases.ts';

/** Evaluates packets by `evaluate` and behaviour by the pure decisions. */
export function openEvaluate(): TableBackend<ServicesCase> {
	return {
		judge: (item) => Promise.resolve('packets' in item ? judgePackets(item) : judgeBehaviour(item)),
		close: () => Promise.resolve(),
	};
}

function judgePackets(item: PacketCase): Cell[] {
	const { model, nodeAddresses, packets } = prepare(item);
	return packets.map(({ expected, ...packet }) => {
		const { verdict } = evaluate(model, packet, nodeAddresses);
		const actual =
			verdict.type === 'dnat'
				? verdictText({
						verdict: 'dnat',
						backends: verdict.backends.map(formatBackend),
						masquerade: verdict.masquerade,
					})
				: verdict.type;
		return {
			id: item.id,
			step: 0,
			from: packet.from,
			to: packet.to,
			probe: `${packet.protocol}/${packet.port}`,
			expected,
			actual,
		};
	});
}
