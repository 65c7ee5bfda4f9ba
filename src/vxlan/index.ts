/**
 * VXLAN between nodes, as Calico lays it out, so that a node of ours and a node with Felix exchange
 * packets. Of each family there is one device (`vxlan.calico`, `vxlan-v6.calico`) without learning.
 * Each remote node is two permanent entries on it: its tunnel address has its MAC (neighbour), and
 * its MAC is at its node address (forwarding database). Routes lead to the tunnel address; `fib`
 * holds them. Devices and entries are computed (pure: `device`, `entries`), read back, and put
 * right by events and a slow audit.
 */
export { deviceSteps, type VxlanDevice, type VxlanStep } from './device.ts';
export { diffEntries, type RemoteEnd, remoteEntries } from './entries.ts';
export { openVxlanKernel } from './kernel.ts';
export { macOf, macText, parseMac } from './mac.ts';
export { VxlanMesh, type VxlanOptions, type VxlanState } from './mesh.ts';
export { directDeviceNames, isDirectDevice, type LocalEnd, vxlanDefaults, vxlanDeviceNames } from './types.ts';
