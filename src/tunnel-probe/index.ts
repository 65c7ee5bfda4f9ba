/**
 * An active probe of the tunnels to other nodes: ICMP echo requests of the tunnel's full size,
 * without fragmentation. It finds links that drop such packets without an answer, which the kernel
 * cannot report, and names the size that passes.
 */
export { checksum, decodeEchoReply, encodeEchoRequest, leastEchoBytes } from './echo.ts';
export { TunnelProbe } from './tunnel-probe.ts';
export type { ProbeTarget } from './types.ts';
