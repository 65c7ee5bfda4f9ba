/**
 * One of each kind that calicoctl accepts from a file. Resources that a filter needs precede those
 * that reference it.
 */
export const resources = `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: { name: ctl-four, labels: { a: b }, annotations: { mine: kept } }
spec: { cidr: 10.60.0.0/16, blockSize: 28, ipipMode: CrossSubnet, natOutgoing: true }
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: { name: ctl-six }
spec: { cidr: "fd00:60::/64", blockSize: 122, disabled: true }
---
apiVersion: projectcalico.org/v3
kind: IPReservation
metadata: { name: ctl }
spec: { reservedCIDRs: [10.60.0.0/30] }
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: { name: default }
spec:
  asNumber: 64513
  nodeToNodeMeshEnabled: true
  listenPort: 1790
  logSeverityScreen: Info
  communities: [{ name: c1, value: "65001:1" }]
  prefixAdvertisements: [{ cidr: 10.60.0.0/16, communities: [c1, "65001:2"] }]
---
apiVersion: projectcalico.org/v3
kind: BGPFilter
metadata: { name: ctl }
spec:
  exportV4: [{ action: Accept, matchOperator: In, cidr: 10.60.0.0/16 }]
  importV6: [{ action: Reject, matchOperator: NotIn, cidr: "fd00::/8" }]
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: { name: ctl }
spec: { peerIP: "192.0.2.1:1790", asNumber: 4200000000, nodeSelector: all(), keepOriginalNextHop: true, maxRestartTime: 90s, ttlSecurity: 1, filters: [ctl] }
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: { name: node.ctl }
spec: { ipipEnabled: true, logSeverityScreen: Debug, deviceRouteProtocol: 80, routeRefreshInterval: 10s }
---
apiVersion: projectcalico.org/v3
kind: KubeControllersConfiguration
metadata: { name: default }
spec: { controllers: { node: { syncLabels: Enabled, leakGracePeriod: 10m } } }
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: { name: ctl, labels: { role: l } }
spec: { nets: [10.0.0.0/8] }
---
apiVersion: projectcalico.org/v3
kind: NetworkSet
metadata: { name: ctl, namespace: default }
spec: { nets: [10.0.0.0/8] }
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: ctl }
spec: { selector: all(), order: 10.5, types: [Ingress], ingress: [{ action: Allow, protocol: TCP, destination: { ports: [80, "90:100"] } }] }
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: { name: ctl, namespace: default }
spec: { selector: all(), types: [Egress], egress: [{ action: Deny }] }
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: { name: ctl, labels: { a: b } }
spec: { node: ctl, interfaceName: eth0, expectedIPs: [192.0.2.9] }
`;

/** In the form for `calicoctl get`; those of Kubernetes last. */
export const kindsOfCalicoctl = [
	'ippools',
	'ipreservations',
	'bgpconfigurations',
	'bgpfilters',
	'bgppeers',
	'felixconfigurations',
	'kubecontrollersconfigurations',
	'globalnetworksets',
	'networksets',
	'globalnetworkpolicies',
	'networkpolicies',
	'hostendpoints',
	'clusterinformations',
	'nodes',
	'workloadendpoints',
] as const;
