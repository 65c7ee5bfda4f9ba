import { parseArgs } from 'node:util';
import { silentLogger, systemClock } from '../../src/core/index.ts';
import { macOf, openVxlanKernel, type RemoteEnd, VxlanMesh, type VxlanState } from '../../src/vxlan/index.ts';
import { addInterfaces, enterNewNamespace } from '../fib/namespace.ts';

/**
 * Entries of VXLAN for many nodes: from the state until the kernel has a neighbour and a forwarding
 * entry for each. Needs root.
 */
const { values } = parseArgs({
	options: {
		nodes: { type: 'string', default: '1000' },
		runs: { type: 'string', default: '3' },
		json: { type: 'boolean', default: false },
	},
});

const remotes = Array.from({ length: Number(values.nodes) }, (_, index): RemoteEnd => {
	const host = `${(index >> 8) & 255}.${index & 255}`;
	const node = `node-${index}`;
	return {
		node,
		family: 'ipv4',
		nodeAddress: `10.81.${host}`,
		tunnelAddress: `10.244.${host}`,
		mac: macOf(node, 'ipv4'),
	};
});
const state: VxlanState = {
	vni: 4096,
	port: 4789,
	mtuBytes: {},
	local: { ipv4: { nodeAddress: '10.0.0.1', tunnelAddress: '10.245.0.1', mac: macOf('self', 'ipv4') } },
	families: ['ipv4'],
	remotes: [],
	leftAlone: false,
};

async function timed(mesh: VxlanMesh, next: VxlanState): Promise<number> {
	const start = performance.now();
	mesh.apply(next);
	await mesh.whenIdle();
	return performance.now() - start;
}

const median = (numbers: readonly number[]): number =>
	[...numbers].sort((left, right) => left - right)[numbers.length >> 1] ?? Number.NaN;

const runs: { readonly allMs: number; readonly oneMs: number }[] = [];
for (let run = 0; run < Number(values.runs); run++) {
	enterNewNamespace();
	addInterfaces();
	const mesh = new VxlanMesh({}, { kernel: openVxlanKernel(), clock: systemClock, log: silentLogger });
	await timed(mesh, state);
	const allMs = await timed(mesh, { ...state, remotes });
	const oneMs = await timed(mesh, { ...state, remotes: remotes.slice(1) });
	const { desired, installed, failures } = mesh.counts();
	if (installed !== desired || failures.length > 0) throw new Error(`${installed} of ${desired} entries are there`);
	await mesh.stop();
	runs.push({ allMs, oneMs });
}
const answer = {
	nodes: remotes.length,
	allMs: median(runs.map(({ allMs }) => allMs)),
	oneMs: median(runs.map(({ oneMs }) => oneMs)),
};
process.stdout.write(
	values.json
		? `${JSON.stringify(answer)}\n`
		: `${answer.nodes} remote nodes: ${answer.allMs.toFixed(1)} ms for all, ` +
				`${answer.oneMs.toFixed(1)} ms for one that goes (medians of ${values.runs})\n`,
);
process.exit(0);
