/**
 * IP in IP between nodes: the device tunl0, read back and corrected by events and a slow audit; it
 * stays at a stop. `encapsulation` decides which routes use it, the guard of `nftables` which
 * packets it accepts.
 */
export { type DeviceStep, deviceSteps, type WantedDevice } from './device.ts';
export { IpipMesh, type IpipOptions } from './mesh.ts';
