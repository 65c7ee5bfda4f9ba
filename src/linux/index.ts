/**
 * What Node lacks of Linux, through koffi: rtnetlink, socket options, the service manager. Everything here speaks the
 * kernel's own words (indexes, flags, bytes); what they mean for routes and tunnels is decided in `fib/` and `ipip/`.
 */
export { grantsNetAdmin, mayAdministerNetwork } from './capabilities.ts';
export { systemEnvironment } from './environment.ts';
export { check, errnoName, lastErrno, libc, SystemCallError } from './libc.ts';
export * from './netlink/index.ts';
export {
	bindToDevice,
	closeTcpSocket,
	descriptorOf,
	longestMd5KeyBytes,
	openTcpSocket,
	setMd5Key,
	setMinimumTtl,
	setTrafficClass,
	setTtl,
	setUserTimeout,
} from './socket-options.ts';
export { notifySystemd, watchdogIntervalMs } from './systemd.ts';
