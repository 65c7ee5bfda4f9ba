/**
 * The Debian packages of tests, laboratory and benchmark, one row each: a file that proves the
 * installation, the purpose, and the services that would start at boot, which are disabled.
 */
export const packages = [
	{
		name: 'bird2',
		file: '/usr/sbin/bird',
		services: ['bird'],
		use: 'BIRD: the laboratory, the interop suite and the benchmark',
	},
	{ name: 'frr', file: '/usr/lib/frr/bgpd', services: ['frr'], use: 'FRR: the interop suite and the benchmark' },
	{ name: 'gobgpd', file: '/usr/bin/gobgpd', services: ['gobgpd'], use: 'GoBGP: the interop suite and the benchmark' },
	{ name: 'exabgp', file: '/usr/sbin/exabgp', services: ['exabgp'], use: 'ExaBGP: the interop suite' },
	{
		name: 'openbgpd',
		file: '/usr/sbin/bgpd',
		services: ['openbgpd'],
		use: 'OpenBGPD: the interop suite and the benchmark',
	},
	{
		name: 'user-mode-linux',
		file: '/usr/bin/linux.uml',
		use: 'a kernel with IPIP: the laboratory and the kernel suites, where the own kernel has no ipip',
	},
	{ name: 'kmod', file: '/sbin/modprobe', use: 'loading ipip into that kernel' },
	{ name: 'iproute2', file: '/sbin/ip', use: 'network namespaces: the laboratory and the kernel suites' },
	{ name: 'nftables', file: '/usr/sbin/nft', use: 'the guard of tunl0 and masquerading: the kernel suites' },
	{ name: 'procps', file: '/sbin/sysctl', use: 'kernel settings of the laboratory' },
	{ name: 'iputils-ping', file: '/bin/ping', use: 'pings between pods' },
	{
		name: 'containernetworking-plugins',
		file: '/usr/lib/cni/ptp',
		use: 'pods on real links: the suite of the CNI plugin; host-local beside it in the benchmark',
	},
	{
		name: 'etcd-server',
		file: '/usr/bin/etcd',
		services: ['etcd'],
		use: 'etcd below a real kube-apiserver: the API contract suite',
	},
	{
		name: 'gcc',
		file: '/usr/bin/gcc',
		use: "the benchmark's load generator, which is written in C; user-mode-linux on processors with AMX",
	},
	{ name: 'libc6-dev', file: '/usr/include/stdio.h', use: 'the same' },
	{ name: 'openssl', file: '/usr/bin/openssl', use: 'keys of a real kube-apiserver: the API contract suite' },
	{
		name: 'containerd',
		file: '/usr/bin/containerd',
		services: ['containerd'],
		use: 'containers of the real Kubernetes cluster',
	},
	{ name: 'runc', file: '/usr/sbin/runc', use: 'the same' },
	{ name: 'conntrack', file: '/usr/sbin/conntrack', use: 'kube-proxy in that cluster' },
	{ name: 'busybox-static', file: '/bin/busybox', use: 'the images of that cluster' },
	{ name: 'curl', file: '/usr/bin/curl', use: 'the same' },
	{ name: 'netcat-openbsd', file: '/bin/nc.openbsd', use: 'the same' },
	{ name: 'bind9-dnsutils', file: '/usr/bin/dig', use: 'the same' },
	{ name: 'iperf3', file: '/usr/bin/iperf3', use: 'throughput from pod to pod: `npm run bench:ebpf`' },
	{ name: 'iperf', file: '/usr/bin/iperf', use: 'the same' },
];
