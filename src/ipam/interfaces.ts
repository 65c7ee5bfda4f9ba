/**
 * Identifies the address of each interface if one container has several interfaces in one network.
 * All of them share one handle, as in Calico, and Calico releases by handle. An additional
 * attribute of ours records the interface of each address. Calico does not write this attribute,
 * preserves it, and does not interpret it.
 */

/** The key of the attribute. */
export const interfaceAttribute = 'ifname';

/**
 * Selects addresses of a handle by their interface. `undefined`: the address records no interface,
 * as all addresses assigned by Calico.
 */
export type InterfaceMatch = (ifname: string | undefined) => boolean;

/** Matches all addresses of a handle. */
export const anyInterface: InterfaceMatch = () => true;

/**
 * Matches the addresses that may belong to this interface. An address without an interface matches
 * every interface, so that a container keeps an address that Calico assigned. Without a name all
 * addresses match.
 */
export const mayBeOf =
	(ifname: string | undefined): InterfaceMatch =>
	(other) =>
		ifname === undefined || other === undefined || other === ifname;

/** Matches only addresses that record one of these interfaces. */
export const saidOf =
	(ifnames: ReadonlySet<string>): InterfaceMatch =>
	(other) =>
		other !== undefined && ifnames.has(other);
