/**
 * Debian's own kernels under QEMU: what user-mode-linux lacks (nftables, eBPF, systemd) works
 * there.
 */
export * from './kernels.ts';
export * from './runner.ts';
