/**
 * Whose address it is where one container has several interfaces in one network. Their handle is the same, as in Calico, and is what Calico releases;
 * an attribute of ours beside it says which interface each address is for. Calico writes no such attribute, keeps it as it is, and gives it no meaning.
 */

/** The key of the attribute. */
export const interfaceAttribute = 'ifname';

/** Which of a handle's addresses are meant, by the interface that each is for; `undefined`: it does not say, as those that Calico gave. */
export type InterfaceMatch = (ifname: string | undefined) => boolean;

/** All of a handle. */
export const anyInterface: InterfaceMatch = () => true;

/** Those that may be this interface's: an address that does not say is any interface's, so that a container keeps what Calico gave it. Without a name all are meant. */
export const mayBeOf =
	(ifname: string | undefined): InterfaceMatch =>
	(other) =>
		ifname === undefined || other === undefined || other === ifname;

/** Those that say of themselves that they are one of these interfaces'. */
export const saidOf =
	(ifnames: ReadonlySet<string>): InterfaceMatch =>
	(other) =>
		other !== undefined && ifnames.has(other);
