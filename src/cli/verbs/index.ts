import type { VerbEntry } from '../verb.ts';

/**
 * Every verb of `bgpmesh`, in the order of its help; the code of a verb is loaded when it is
 * called.
 */
export const verbs: readonly VerbEntry[] = [
	{
		command: 'status',
		describe: 'The daemon in one screen',
		examples: [
			['$0 status', 'sessions, tables, data planes and every problem'],
			['$0 status --check', 'exit code 1 while there is a problem'],
			['$0 status --ready --json', 'exit code 1 while the node is not ready, for probes'],
		],
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
			['$0 ipam show --ip 192.168.1.7', 'its owner; exit code 1 if it has none'],
			['$0 ipam show --show-blocks', 'every block, its node and how full it is'],
			['$0 ipam check --fix', 'mend what may be mended; exit code 1 if something is left'],
			['$0 ipam gc --dry-run', 'orphaned addresses, since when, and which node takes them back'],
			['$0 ipam release --ip 192.168.1.7', 'release an unused address'],
		],
		load: async () => (await import('./ipam.ts')).ipam,
	},
	{
		command: 'services [name]',
		describe: 'Services at this node: frontends, endpoints, announcements; or takeover',
		examples: [
			['$0 services', 'all of them'],
			['$0 services default/web', 'why an endpoint is or is not used, and where it is announced'],
			['$0 services 10.96.0.10', 'whose address is it? exit code 1 if no Service has it'],
			['$0 services takeover --dry-run', 'which rules of kube-proxy would be removed'],
		],
		load: async () => (await import('./services.ts')).services,
	},
	{
		command: 'policy <action> [names..]',
		describe: 'Network policy at this node: status, show, trace, plan, drops',
		examples: [
			['$0 policy status', 'every policy, how many endpoints it selects here, and what is wrong with it'],
			['$0 policy show prod/web', 'tiers, policies and profiles of a pod, in the order in which they are asked'],
			['$0 policy trace prod/web prod/db 5432', 'which rule decides on each side; exit code 1 if it is denied'],
			["$0 policy trace 'dev{app=web}' prod/db 5432", 'the same for a pod that need not exist'],
			['$0 policy trace 203.0.113.7 edge-eth0 22', 'to a HostEndpoint, by its name'],
			['$0 policy trace 203.0.113.7 prod/web 53 --protocol udp', 'from outside of the cluster'],
			['$0 policy plan -f policies.yaml', 'which connections would change; nothing is changed'],
			['$0 policy drops --watch', 'dropped packets with the deciding rule, until Ctrl-C'],
		],
		load: async () => (await import('./policy.ts')).policy,
	},
	{
		command: 'flows',
		describe: 'Connections of pods as they begin, with verdict and rule (eBPF data plane)',
		examples: [
			['$0 flows --watch', 'until Ctrl-C'],
			['$0 flows --watch --json', 'a line of JSON for each'],
		],
		load: async () => (await import('./flows.ts')).flows,
	},
	{
		command: 'ebpf <action>',
		describe: 'show: the eBPF programs of this node, maps and counters',
		examples: [['$0 ebpf show', 'programs by pod, how full each map is, packets by decision']],
		load: async () => (await import('./ebpf.ts')).ebpf,
	},
	{
		command: 'lint',
		describe: "What contradicts itself in the cluster's resources, and what to do about it",
		examples: [['$0 lint', 'exit code 1 if anything was found']],
		load: async () => (await import('./lint.ts')).lint,
	},
	{
		command: 'doctor',
		describe: 'Kernel settings and features of this host, what each breaks, and the problems of the daemon',
		examples: [
			['$0 doctor', 'works without a daemon; exit code 1 if anything is wrong'],
			['$0 doctor --json', 'for programs'],
		],
		load: async () => (await import('./doctor.ts')).doctor,
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
			["$0 peer disable tor --text 'maintenance until 14:00'", 'ends the session and sends the reason to the peer'],
			['$0 peer enable tor', 'and back'],
			['$0 peer reset tor --soft', 'all routes again in both directions, session untouched'],
			['$0 peer refresh tor', "ask for the neighbour's routes again"],
		],
		load: async () => (await import('./peer.ts')).peer,
	},
	{
		command: 'cleanup',
		describe: 'Remove everything of bgpmesh from the kernel: routes, VXLAN devices, tunnel addresses, nftables tables',
		examples: [
			['$0 cleanup --dry-run', 'what would be removed'],
			['$0 cleanup', 'after the daemon was stopped for good; exit code 1 if something could not be removed'],
		],
		load: async () => (await import('./cleanup.ts')).cleanup,
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
