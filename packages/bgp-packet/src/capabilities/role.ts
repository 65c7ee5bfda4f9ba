import { CapabilityCode } from '../constants.ts';
import type { CapabilityCodec } from './codec.ts';

/** RFC 9234 §4.1, in the order of their values. */
const roles = ['provider', 'route-server', 'route-server-client', 'customer', 'peer'] as const;

/** What a speaker is towards its peer. */
export type Role = (typeof roles)[number];

/** RFC 9234 §4.1. */
export interface RoleCapability {
	readonly type: 'role';
	/** A number where the value is not assigned: it matches no role (RFC 9234 §4.2). */
	readonly role: Role | number;
}

/** RFC 9234 §4.1. */
export const role: CapabilityCodec<'role', RoleCapability> = {
	type: 'role',
	code: CapabilityCode.role,
	decode(reader) {
		const value = reader.u8();
		return { type: 'role', role: roles[value] ?? value };
	},
	encode: (writer, { role }) => writer.u8(typeof role === 'number' ? role : roles.indexOf(role)),
};
