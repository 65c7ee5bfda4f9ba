/**
 * Linux features that Node lacks, through koffi: rtnetlink, socket options, the service manager.
 * All values are the kernel's own (indexes, flags, bytes); `fib/` and `ipip/` give them a meaning
 * for routes and tunnels.
 */
export { bpfSystemCall, mapMemory, pointerTo, raiseLockedMemory, type SharedMemory } from './bpf.ts';
export { grantsNetAdmin, mayAdministerNetwork } from './capabilities.ts';
export { type EchoSocket, openEchoSocket } from './echo-socket.ts';
export { systemEnvironment } from './environment.ts';
export { check, errnoName, lastErrno, libc, SystemCallError } from './libc.ts';
export { type LinkKernel, netlinkLinks, openNetlinkLinks } from './link-kernel.ts';
export { inNetworkNamespace } from './namespace.ts';
export * from './netfilter/index.ts';
export * from './netlink/index.ts';
export { isServiceActive, processesNamed } from './processes.ts';
export {
	bindToDevice,
	closeTcpSocket,
	descriptorOf,
	longestMd5KeyBytes,
	networkNamespaceCookie,
	openBoundSocket,
	openTcpSocket,
	setMd5Key,
	setMinimumTtl,
	setTrafficClass,
	setTtl,
} from './socket-options.ts';
export { interfacesWithSettings, readSetting, writeSetting } from './sysctl.ts';
export { isJournal, notifySystemd, watchdogIntervalMs } from './systemd.ts';
