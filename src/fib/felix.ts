/**
 * Routes of Calico's Felix. Felix marks its cluster routes with route protocol 80, as this project
 * does by default: they differ in how they are written.
 */
import { isLinkLocal, parseAddress } from '../core/index.ts';
import { hasRoutePriority, isOnlinkRoute, type Message } from '../linux/index.ts';
import type { KernelRoute } from './kernel.ts';

/** The route protocol number of Felix' cluster routes and blackholes. */
export const felixProtocol = 80;

/** Felix gives routes on it `deviceRouteProtocol`, 3 by default, not 80. */
const vxlanDevice = 'vxlan-v6.calico';

type Facts = Pick<KernelRoute, 'family' | 'type' | 'via' | 'device' | 'onlink' | 'metric'>;

/**
 * True for a route of protocol 80 in the form of Felix. IPv4: without a metric; every route of this
 * project has one. IPv6: both have the kernel's default metric, but the gateway of Felix is a
 * global address with `onlink`, which a route without a tunnel has here only where the host's own
 * routes do. A blackhole of IPv6 looks alike; both write it for the same prefixes. Pure.
 */
export const isFelixRoute = ({ family, type, via, device, onlink, metric }: Facts): boolean =>
	family === 'ipv4'
		? metric === 0
		: type === 'unicast' &&
			via !== undefined &&
			onlink &&
			device !== vxlanDevice &&
			!isLinkLocal(parseAddress(via).bytes);

/** Marks our routes beside Felix, which removes routes of others with its own number. */
export const besideFelixProtocol = 81;

/**
 * True for a route of protocol 80 that this project wrote before Felix ran on the node. A blackhole
 * of IPv6 counts as that of Felix. Pure.
 */
export const isFormerRoute = (route: Facts): boolean =>
	!isFelixRoute(route) && (route.family === 'ipv4' || route.type === 'unicast');

/** `isFelixRoute` of a message that is not decoded yet: `false` for most routes of this project. */
export const mayBeFelix = (message: Message, family: Facts['family']): boolean =>
	family === 'ipv4' ? !hasRoutePriority(message) : isOnlinkRoute(message);
