/** What others put at interfaces of pods. */
import { constants } from 'node:os';
import { decodeQdisc, encodeQdiscDump, NetlinkSocket, SystemCallError, type TrafficHook } from '../../linux/index.ts';
import { attachTypes, ClsactAttacher, purposes, trafficHooks } from './attach.ts';
import { Attributes, Command, tryBpf } from './call.ts';

/** Queueing disciplines that neither limit nor classify, and drop only when a queue is full. */
const harmless: ReadonlySet<string> = new Set(['noqueue', 'noop', 'pfifo', 'pfifo_fast', 'mq', 'fq', 'fq_codel']);

/**
 * What others have at one of these interfaces (names by index), in words; `undefined`: nothing. Of
 * programs at TCX, one at each hook is ours. @throws SystemCallError, NetlinkError
 */
export async function findOthers(interfaces: ReadonlyMap<number, string>): Promise<string | undefined> {
	const classifiers = new ClsactAttacher();
	try {
		const ours: ReadonlySet<string> = new Set(purposes.map(({ classifier }) => classifier));
		for (const { interfaceIndex, kind } of await qdiscs()) {
			const name = interfaces.get(interfaceIndex);
			if (name === undefined || harmless.has(kind)) continue;
			if (kind !== 'clsact') return `the queueing discipline ${kind} at ${name}`;
			for (const hook of trafficHooks)
				if ((await classifiers.classifiers(interfaceIndex, hook)).some((one) => !ours.has(one)))
					return `a classifier of others at ${name}, ${hook}`;
		}
	} finally {
		classifiers.close();
	}
	for (const [index, name] of interfaces)
		for (const hook of trafficHooks) if (programsAt(index, hook) > 1) return `a program of others at ${name}, ${hook}`;
	return undefined;
}

async function qdiscs(): Promise<ReturnType<typeof decodeQdisc>[]> {
	const socket = new NetlinkSocket();
	let found: ReturnType<typeof decodeQdisc>[] = [];
	try {
		await socket.dump(
			encodeQdiscDump,
			(message) => {
				found.push(decodeQdisc(message));
			},
			() => {
				found = [];
			},
		);
		return found;
	} finally {
		socket.close();
	}
}

/**
 * Programs at a hook of TCX (BPF_PROG_QUERY); 0 before kernel 6.6 and where the interface is gone.
 */
function programsAt(interfaceIndex: number, hook: TrafficHook): number {
	const attributes = new Attributes().u32(0, interfaceIndex).u32(4, attachTypes[hook]);
	const result = tryBpf(Command.programQuery, attributes, 64);
	const { EINVAL, ENODEV, ENOENT } = constants.errno;
	if (result < 0 && ![EINVAL, ENODEV, ENOENT].includes(-result))
		throw new SystemCallError('bpf: query programs', -result);
	return result < 0 ? 0 : attributes.readU32(24);
}
