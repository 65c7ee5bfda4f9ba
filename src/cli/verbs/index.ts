import type { VerbEntry } from '../verb.ts';

/** Every verb of `bgpmesh`, in the order of its help; the code of a verb is loaded when it is called. */
export const verbs: readonly VerbEntry[] = [
	{
		command: 'status',
		describe: 'The daemon in one screen',
		examples: [['$0 status', 'is all well?']],
		load: async () => (await import('./status.ts')).status,
	},
	{
		command: 'peers [peer]',
		describe: 'All neighbours, or everything about one (by name or address)',
		examples: [
			['$0 peers', 'who is up, and how many routes each one gave'],
			['$0 peers tor', 'capabilities, timers, counters and last errors of one'],
		],
		load: async () => (await import('./peers.ts')).peers,
	},
	{
		command: 'routes [prefix]',
		describe: 'Paths of the routing table, or as exchanged with one neighbour',
		examples: [
			['$0 routes', 'the first 1000 paths'],
			['$0 routes 192.168.0.0/16 --covered', 'everything inside a prefix'],
			['$0 routes --received tor', 'before import policy'],
			['$0 routes --advertised tor --json', 'after export policy, for programs'],
		],
		load: async () => (await import('./routes.ts')).routes,
	},
	{
		command: 'explain <target>',
		describe: 'Why the best path to a prefix, or to an address, is the best',
		examples: [
			['$0 explain 192.168.1.0/26', 'each path with the step at which it fell'],
			['$0 explain 192.168.1.7', 'the same for the prefix that an address is in'],
		],
		load: async () => (await import('./explain.ts')).explain,
	},
	{
		command: 'fib',
		describe: 'Our routes in the kernel beside those that should be there',
		examples: [
			['$0 fib', 'all of them'],
			['$0 fib --diff', 'only what differs; exit code 1 if anything does'],
		],
		load: async () => (await import('./fib.ts')).fib,
	},
	{
		command: 'pools',
		describe: 'How full each address pool is, and how long it will last',
		examples: [['$0 pools', 'addresses, blocks, and what lies about half empty']],
		load: async () => (await import('./pools.ts')).pools,
	},
	{
		command: 'ipam <action>',
		describe: 'show: whose is an address, how full is a block; check: does everything agree; release; gc',
		examples: [
			['$0 ipam show --ip 192.168.1.7', 'whose is it? exit code 1 if nobody has it'],
			['$0 ipam show --show-blocks', 'every block, its node and how full it is'],
			['$0 ipam check --fix', 'mend what may be mended; exit code 1 if something is left'],
			['$0 ipam gc --dry-run', 'what nobody seems to own any more, since when, and which node takes it back'],
			['$0 ipam release --ip 192.168.1.7', 'give an address back that nobody needs any more'],
		],
		load: async () => (await import('./ipam.ts')).ipam,
	},
	{
		command: 'lint',
		describe: "What contradicts itself in the cluster's resources, and what to do about it",
		examples: [['$0 lint', 'exit code 1 if anything was found']],
		load: async () => (await import('./lint.ts')).lint,
	},
	{
		command: 'monitor',
		describe: 'Events as they happen, until Ctrl-C',
		examples: [
			['$0 monitor', 'sessions and reloads'],
			['$0 monitor --routes --json', 'best-route changes, too, one JSON object a line'],
		],
		load: async () => (await import('./monitor.ts')).monitor,
	},
	{
		command: 'reload',
		describe: 'Read the configuration file again and apply what differs',
		examples: [['$0 reload --dry-run', 'which sessions would be reset, and why']],
		load: async () => (await import('./reload.ts')).reload,
	},
	{
		command: 'config <action> [file]',
		describe: 'check FILE: is it usable? show: what is running; schema: JSON schema for editors',
		examples: [
			['$0 config check /etc/bgpmesh/bgpmeshd.yaml', 'every problem with its line; needs no daemon'],
			['$0 config show', 'with all defaults filled in'],
		],
		load: async () => (await import('./config.ts')).config,
	},
	{
		command: 'peer <action> <peer>',
		describe: 'enable, disable, reset or refresh one neighbour',
		examples: [
			["$0 peer disable tor --text 'maintenance until 14:00'", 'ends the session and tells the neighbour why'],
			['$0 peer enable tor', 'and back'],
			['$0 peer reset tor --soft', 'all routes again in both directions, session untouched'],
			['$0 peer refresh tor', "ask for the neighbour's routes again"],
		],
		load: async () => (await import('./peer.ts')).peer,
	},
	{
		command: 'apply',
		describe: 'Resources from files to the API server, for machines without kubectl (server-side apply)',
		examples: [
			['$0 apply -f pools.yaml', 'create what is missing, change what differs'],
			['$0 apply -f cluster/ --dry-run', 'would the server take it?'],
		],
		load: async () => (await import('./apply.ts')).apply,
	},
	{
		command: 'get <kind> [name]',
		describe: 'Resources of the API server, for machines without kubectl',
		examples: [
			['$0 get ippools', "the server's own columns"],
			['$0 get node worker-1 -o yaml', 'one of them, whole'],
			['$0 get pods -A -l app=web -o name', 'by label, in all namespaces'],
		],
		load: async () => (await import('./get.ts')).get,
	},
	{
		command: 'apiserver',
		describe: 'A Kubernetes-compatible API server, for laboratories and small sites without a cluster',
		examples: [
			['$0 apiserver --data /var/lib/bgpmesh/api', 'keeps everything in a folder; kubectl finds the way in there'],
			['$0 apiserver --listen 127.0.0.1:0', 'in memory, on any free port'],
		],
		load: async () => (await import('./apiserver.ts')).apiserver,
	},
];
