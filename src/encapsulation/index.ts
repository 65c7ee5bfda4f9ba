/**
 * How a packet for a prefix leaves this node: directly, inside IP in IP, inside VXLAN, or not by a
 * route of ours. One pure function of the modes of the pools, the addresses of this node, the next
 * hop and its tunnel address. The answer (`Encapsulation` of `core`) is carried out by `fib`; the
 * devices are kept by `ipip` and `vxlan`.
 */
export { encapsulation } from './encapsulation.ts';
export { interfaceAddresses } from './interfaces.ts';
export { tunnelMtuBytes, tunnelOverheadBytes } from './mtu.ts';
export type * from './types.ts';
