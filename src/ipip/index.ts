/**
 * IP in IP between nodes: which routes go through the tunnel (`encapsulation`, pure), the device itself, the guard that
 * lets only known nodes in, and the masquerade for pools with `natOutgoing`. All of it is read back and put right, by
 * events and a slow audit; nothing is taken away when we stop.
 */
export { type DeviceStep, deviceSteps, tunnelMtuBytes, type WantedDevice } from './device.ts';
export { type EncapsulationInputs, encapsulation } from './encapsulation.ts';
export { interfaceAddresses, type LinkKernel, openNetlinkLinks } from './links.ts';
export { type IpipDependencies, IpipMesh, type IpipOptions } from './mesh.ts';
export { type LoadRules, loadByNft, NftablesMissingError } from './nftables.ts';
export { guardRules, natRules } from './rules.ts';
export type * from './types.ts';
