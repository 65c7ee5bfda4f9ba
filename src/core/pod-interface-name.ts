import { createHash } from 'node:crypto';

/**
 * The names of the node's ends of pods' interfaces begin with this, unless Felix has another
 * prefix.
 */
export const podInterfacePrefix = 'cali';

/** Digits of the hash. A name has at most 15 octets (IFNAMSIZ, with its zero). */
const digits = 11;

/**
 * The name of the node's end of a pod's veth pair as Calico derives it: the prefix and the first 11
 * hexadecimal digits of the SHA-1 of `NAMESPACE.POD`, so that policy finds it by the pod alone.
 * `interfaceName`: of the pod's end; one other than eth0 is part of the hash.
 */
export function podInterfaceName(
	namespace: string,
	name: string,
	prefix: string = podInterfacePrefix,
	interfaceName = 'eth0',
): string {
	return hashedInterfaceName(`${namespace}.${name}`, interfaceName, prefix);
}

/** The same for an owner of any kind, such as the ID of a container. */
export function hashedInterfaceName(owner: string, interfaceName: string, prefix: string = podInterfacePrefix): string {
	const hashed = interfaceName === 'eth0' ? owner : `${owner}.${interfaceName}`;
	return `${prefix}${createHash('sha1').update(hashed).digest('hex').slice(0, digits)}`;
}
