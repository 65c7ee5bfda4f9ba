/** A node's kernel side by itself, told what to do by lines of JSON: FIB and tunnel as the daemon composes them. Runs inside user-mode-linux. */
import { createInterface } from 'node:readline';
import { type Logger, prefixKey, type RouteChange, systemClock } from '../../../src/core/index.ts';
import { Fib, openNetlinkKernel } from '../../../src/fib/index.ts';
import { encapsulation, IpipMesh, loadByNft, openNetlinkLinks, type TunnelPool } from '../../../src/ipip/index.ts';

/** What a node is told; every line is answered by one line, `{ "done": true, "view": FibView }`. */
export type NodeCommand =
	| { readonly type: 'start'; readonly pools: readonly TunnelPool[]; readonly tunnelAddress: string; readonly blocks: readonly string[] }
	| { readonly type: 'routes'; readonly changes: readonly { readonly prefix: string; readonly nextHop?: string }[] }
	| { readonly type: 'in-sync' }
	| { readonly type: 'look' };

function stderrLogger(): Logger {
	const at =
		(level: string) =>
		(message: string, fields = {}) =>
			void process.stderr.write(`${JSON.stringify({ level, message, ...fields })}\n`);
	const logger: Logger = { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), child: () => logger };
	return logger;
}

/** Serves standard input until it ends or the process is killed. */
export async function runNode(): Promise<void> {
	const log = stderrLogger();
	const common = { clock: systemClock, random: Math.random, log };
	const fib = new Fib(
		{ routeProtocol: 80 },
		{
			...common,
			kernel: openNetlinkKernel({ routeProtocol: 80 }, log),
			encapsulate: encapsulation({ interfaces: [], pools: [], tunnelDevice: 'tunl0' }),
			onTunnelEnds: (addresses) => mesh.setTunnelEnds(addresses),
		},
	);
	const mesh = new IpipMesh(
		{},
		{ ...common, links: openNetlinkLinks(), loadRules: loadByNft, onEncapsulate: (encapsulate) => fib.setEncapsulate(encapsulate) },
	);
	// Keeps the process alive: watching alone does not.
	const alive = setInterval(() => {}, 60_000);
	for await (const line of createInterface({ input: process.stdin })) {
		await carryOut(JSON.parse(line) as NodeCommand, fib, mesh);
		await mesh.whenIdle();
		await fib.whenIdle();
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
	return { type: 'install', route: { prefix, family: 'ipv4', nextHop, source: 'internal', peer: 'mesh', localPref: 100 } };
}
