import type { Family } from '../core/index.ts';

/** Calico's names of the devices. */
export const vxlanDeviceNames: Readonly<Record<Family, string>> = { ipv4: 'vxlan.calico', ipv6: 'vxlan-v6.calico' };

/** Of the device that carries untranslated packets of services (direct server return). */
export const directDeviceNames: Readonly<Record<Family, string>> = { ipv4: 'bgpmesh-dsr', ipv6: 'bgpmesh-dsr6' };

/** Is this the name of the device of direct server return, of either family? Pure. */
export const isDirectDevice = (name: string): boolean => Object.values(directDeviceNames).includes(name);

/** Defaults of FelixConfiguration: `vxlanVNI`, `vxlanPort`. */
export const vxlanDefaults = { vni: 4096, port: 4789 } as const;

/** This node's end of the tunnels of one family. Addresses are canonical text. */
export interface LocalEnd {
	/** On the network below. */
	readonly nodeAddress: string;
	/** Of the device. `undefined`: not assigned yet, the device keeps what it has. */
	readonly tunnelAddress: string | undefined;
	/** 6 bytes. */
	readonly mac: Uint8Array;
}
