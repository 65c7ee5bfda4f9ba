import { execFileSync } from 'node:child_process';
import type { ExecutionContext } from 'ava';
import { ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { ipPacket, readPacket } from '../../lab/frames/packets.ts';
import { HostReceiver, HostSender } from '../../lab/frames/sockets.ts';
import { type AddressGrantsView, ControlClient } from '../../src/control/index.ts';
import { parseAddress } from '../../src/core/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { calicoKinds, coreKinds, type ResourceKind } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { KubeNode } from './kube-node.ts';
import { enterRouting } from './namespace.ts';

export const networkPolicies: ResourceKind = {
	kind: 'NetworkPolicy',
	apiVersion: 'networking.k8s.io/v1',
	plural: 'networkpolicies',
	namespaced: true,
};
const layout = 'crd.projectcalico.org/v1';
const udp = 17;

/** A NetworkPolicy of the namespace `default`. */
export const networkPolicy = (name: string, spec: JsonObject): JsonObject => ({
	apiVersion: 'networking.k8s.io/v1',
	kind: 'NetworkPolicy',
	metadata: { name, namespace: 'default' },
	spec,
});

/** A pod: a network namespace that sends and receives whole UDP packets. */
export class TestPod {
	readonly name: string;
	readonly namespace: string;
	/** Empty before ADD. */
	address = '';
	readonly #sender: HostSender;
	readonly #receiver: HostReceiver;

	constructor(name: string, namespace: string) {
		this.name = name;
		this.namespace = namespace;
		this.#sender = new HostSender(namespace, 'ipv4');
		this.#receiver = new HostReceiver(namespace, 'ipv4', udp);
	}

	/** `false`: not sent, the pod has no network yet, or waits for its neighbour. */
	send(to: string, port: number, sourcePort: number, source = this.address): boolean {
		const destination = parseAddress(to);
		const packet = ipPacket({
			source: parseAddress(source === '' ? '0.0.0.0' : source),
			destination,
			protocol: udp,
			sourcePort,
			destinationPort: port,
		});
		try {
			return this.#sender.send(packet, destination);
		} catch (error) {
			if (error instanceof Error && /ENETUNREACH|EHOSTUNREACH|ENETDOWN|EAGAIN/.test(error.message)) return false;
			throw error;
		}
	}

	/** Packets that arrived since the last call. */
	*received(): Iterable<{ readonly from: string; readonly sourcePort: number; readonly port: number }> {
		for (;;) {
			const packet = this.#receiver.receive();
			if (packet === undefined) return;
			const facts = readPacket(packet);
			if (facts?.protocol === udp)
				yield {
					from: [...packet.subarray(12, 16)].join('.'),
					sourcePort: facts.sourcePort,
					port: facts.destinationPort,
				};
		}
	}

	close(): void {
		this.#sender.close();
		this.#receiver.close();
	}
}

/**
 * A node with enforced network policy: this process enters a new network namespace, which is the node; API server and
 * daemon run in it, pods are namespaces beside it.
 */
export class PolicyNode {
	readonly node = new KubeNode('node-a');
	readonly pods: TestPod[] = [];
	readonly #prefix: string;

	constructor(id: string) {
		this.#prefix = `bmp${process.pid}${id}`;
	}

	async start(t: ExecutionContext, port: number, rest = ''): Promise<this> {
		enterRouting();
		ipBatch([
			'link add eth0 type veth peer name eth0-end',
			'link set eth0 up',
			'link set eth0-end up',
			'addr add 192.0.2.1/24 dev eth0',
			// Proxy ARP answers a pod where the node has a route to the gateway.
			'route add default via 192.0.2.254 dev eth0',
		]);
		t.teardown(() => {
			for (const pod of this.pods) {
				pod.close();
				removeNamespace(pod.namespace);
			}
		});
		await this.node.start(t, {
			address: '192.0.2.1/24',
			bgp: `{ asNumber: 64512, listen: { address: 127.0.0.1, port: ${port} } }`,
			rest: `networkPolicy: { enforce: true }\n${rest}`,
		});
		const { client, daemon } = this.node;
		await client.create(calicoKinds(layout).pools, {
			apiVersion: layout,
			kind: 'IPPool',
			metadata: { name: 'pods' },
			spec: { cidr: '10.77.0.0/21', blockSize: 26, nodeSelector: 'all()' },
		});
		await daemon.until(
			'addresses can be given',
			(control) => control.ask('cniStatus', {}).catch(() => ({ ready: false })),
			({ ready }) => ready,
		);
		return this;
	}

	/** Namespaces with sockets, before the pods have a network. */
	makePods(names: readonly string[]): TestPod[] {
		const made = names.map((name) => ({ name, namespace: `${this.#prefix}${name}` }));
		ipBatch(made.map(({ namespace }) => `netns add ${namespace}`));
		const pods = made.map(({ name, namespace }) => new TestPod(name, namespace));
		for (const { namespace } of made)
			execFileSync('ip', ['-n', namespace, 'link', 'set', 'lo', 'up'], { env: systemEnvironment() });
		this.pods.push(...pods);
		return pods;
	}

	/** Creates the Pod and calls ADD, as a kubelet and a runtime do. */
	async attach(pod: TestPod, labels: JsonObject): Promise<void> {
		const { client, daemon } = this.node;
		await client.create(
			coreKinds.pods,
			{
				apiVersion: 'v1',
				kind: 'Pod',
				metadata: { name: pod.name, namespace: 'default', labels },
				spec: { nodeName: 'node-a', containers: [{ name: 'c', image: 'x' }] },
			},
			'default',
		);
		const view = (await new ControlClient(daemon.socket).ask('cniAdd', {
			request: {
				network: 'pods',
				containerId: pod.namespace,
				ifname: 'eth0',
				pod: { namespace: 'default', name: pod.name },
				families: ['ipv4'],
				ipv4Pools: [],
				ipv6Pools: [],
				interface: { namespace: `/run/netns/${pod.namespace}` },
			},
		})) as AddressGrantsView;
		pod.address = view.addresses[0]?.address ?? '';
		// A patch, as a kubelet's: the daemon may have annotated the Pod meanwhile.
		await client.patch(
			coreKinds.pods,
			pod.name,
			{ status: { phase: 'Running', podIP: pod.address, podIPs: [{ ip: pod.address }] } },
			'application/merge-patch+json',
			{ namespace: 'default', subresource: 'status' },
		);
	}
}
