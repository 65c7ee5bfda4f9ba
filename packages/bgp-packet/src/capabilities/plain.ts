import { CapabilityCode } from '../constants.ts';
import type { CapabilityCodec } from './codec.ts';

/** ROUTE-REFRESH is understood. RFC 2918 §2. */
export interface RouteRefreshCapability {
	readonly type: 'route-refresh';
}

/** The begin and end marks of a refresh are understood. RFC 7313 §3. */
export interface EnhancedRouteRefreshCapability {
	readonly type: 'enhanced-route-refresh';
}

/** Messages of up to 65535 bytes are accepted. RFC 8654 §3. */
export interface ExtendedMessageCapability {
	readonly type: 'extended-message';
}

/** RFC 2918 §2: no value. */
export const routeRefresh: CapabilityCodec<'route-refresh', RouteRefreshCapability> = {
	type: 'route-refresh',
	code: CapabilityCode.routeRefresh,
	decode: () => ({ type: 'route-refresh' }),
	encode: () => {},
};

/** RFC 7313 §3: no value. */
export const enhancedRouteRefresh: CapabilityCodec<'enhanced-route-refresh', EnhancedRouteRefreshCapability> = {
	type: 'enhanced-route-refresh',
	code: CapabilityCode.enhancedRouteRefresh,
	decode: () => ({ type: 'enhanced-route-refresh' }),
	encode: () => {},
};

/** RFC 8654 §3: no value. */
export const extendedMessage: CapabilityCodec<'extended-message', ExtendedMessageCapability> = {
	type: 'extended-message',
	code: CapabilityCode.extendedMessage,
	decode: () => ({ type: 'extended-message' }),
	encode: () => {},
};
