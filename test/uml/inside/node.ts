/**
 * The kernel side of one node, controlled by lines of JSON: FIB and tunnel as the daemon composes
 * them. Runs inside user-mode-linux.
 */
import { createInterface } from 'node:readline';
import { type Logger, prefixKey, type RouteChange, systemClock } from '../../../src/core/index.ts';
import { encapsulation, type InterfaceAddress, type TunnelPool } from '../../../src/encapsulation/index.ts';
import { Fib, openNetlinkKernel } from '../../../src/fib/index.ts';
import { IpipMesh } from '../../../src/ipip/index.ts';
import { loadRuleset, openNetlinkLinks } from '../../../src/linux/index.ts';
import { guardRules, natRules, RuleKeeper } from '../../../src/nftables/index.ts';

/**
 * The commands of a node; every line gets one line in response, `{ "done": true, "view": FibView
 * }`.
 */
export type NodeCommand =
	| {
			readonly type: 'start';
			readonly pools: readonly TunnelPool[];
			readonly tunnelAddress: string;
			readonly blocks: readonly string[];
	  }
	| { readonly type: 'routes'; readonly changes: readonly { readonly prefix: string; readonly nextHop?: string }[] }
	| { readonly type: 'in-sync' }
	| { readonly type: 'look' };

function stderrLogger(): Logger {
	const at =
		(level: string) =>
		(message: string, fields = {}) =>
			void process.stderr.write(`${JSON.stringify({ level, message, ...fields })}\n`);
	const logger: Logger = {
		error: at('error'),
		warn: at('warn'),
		info: at('info'),
		debug: at('debug'),
		child: () => logger,
	};
	return logger;
}

/** Serves standard input until it ends or the process is killed. */
export async function runNode(): Promise<void> {
	const log = stderrLogger();
	const common = { clock: systemClock, random: Math.random, log };
	const where: { pools: readonly TunnelPool[]; interfaces: readonly InterfaceAddress[] } = {
		pools: [],
		interfaces: [],
	};
	const encapsulate = () => fib.setEncapsulate(encapsulation({ ...where, tunnelDevice: 'tunl0' }));
	const guard = new RuleKeeper('guard', { ...common, load: loadRuleset });
	const nat = new RuleKeeper('nat', { ...common, load: loadRuleset });
	const setPools = (pools: readonly TunnelPool[]) => {
		where.pools = pools;
		nat.set(
			natRules(pools),
			pools.some(({ natOutgoing }) => natOutgoing),
		);
		encapsulate();
	};
	const fib = new Fib(
		{ routeProtocol: 80 },
		{
			...common,
			kernel: openNetlinkKernel({ routeProtocol: 80 }, log),
			encapsulate: encapsulation({ interfaces: [], pools: [], tunnelDevice: 'tunl0' }),
			onTunnelEnds: (addresses) => guard.set(guardRules({ ipip: addresses })),
		},
	);
	const mesh = new IpipMesh(
		{},
		{
			...common,
			links: openNetlinkLinks(),
			onInterfaces: (interfaces) => {
				where.interfaces = interfaces;
				encapsulate();
			},
		},
	);
	// Keeps the process alive: a watch by itself does not.
	const alive = setInterval(() => {}, 60_000);
	for await (const line of createInterface({ input: process.stdin })) {
		const command = JSON.parse(line) as NodeCommand;
		if (command.type === 'start') setPools(command.pools);
		await carryOut(command, fib, mesh);
		await mesh.whenIdle();
		await fib.whenIdle();
		await guard.whenIdle();
		await nat.whenIdle();
		process.stdout.write(`${JSON.stringify({ done: true, view: fib.view() })}\n`);
	}
	clearInterval(alive);
}

async function carryOut(command: NodeCommand, fib: Fib, mesh: IpipMesh): Promise<void> {
	switch (command.type) {
		case 'start':
			fib.waitFor(['bgp']);
			await mesh.setPools(command.pools);
			await mesh.setTunnelAddresses([command.tunnelAddress]);
			await mesh.start();
			fib.setOrigins(command.blocks.map((block) => prefixKey(block)));
			await fib.start();
			break;
		case 'routes':
			fib.apply(command.changes.map(({ prefix, nextHop }) => toChange(prefix, nextHop)));
			break;
		case 'in-sync':
			fib.setInSync('bgp');
			break;
		case 'look':
			break;
		default:
			command satisfies never;
	}
}

function toChange(text: string, nextHop: string | undefined): RouteChange {
	const prefix = prefixKey(text);
	if (nextHop === undefined) return { type: 'remove', prefix };
	return {
		type: 'install',
		route: { prefix, family: 'ipv4', nextHop, source: 'internal', peer: 'mesh', localPref: 100 },
	};
}
