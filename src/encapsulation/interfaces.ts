import { formatAddress } from '../core/index.ts';
import type { Link, LinkAddress } from '../linux/index.ts';
import type { InterfaceAddress } from './types.ts';

/** Addresses with the names of their interfaces. Pure. */
export function interfaceAddresses(links: readonly Link[], addresses: readonly LinkAddress[]): InterfaceAddress[] {
	const names = new Map(links.map(({ index, name }) => [index, name]));
	return addresses.flatMap(({ interfaceIndex, address, length }) => {
		const device = names.get(interfaceIndex);
		return device === undefined ? [] : [{ device, address: `${formatAddress(address)}/${length}` }];
	});
}
