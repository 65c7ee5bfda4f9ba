import { z } from 'zod';
import type {
	AddressGrant,
	AddressGrantsView,
	CniAddRequest,
	CniAttachment,
	CniCheckRequest,
	CniCollectRequest,
} from '../control/index.ts';
import { ControlError } from '../control/index.ts';
import type { Logger } from '../core/index.ts';
import { type Attached, PodInterfaceError, type PodInterfaces } from '../pods/index.ts';
import { type AddressHandlers, attachmentSchema, parse } from './address-service.ts';
import type { PodAnnotations } from './pod-annotations.ts';
import type { ReleaseQueue } from './release-queue.ts';
import { asTemporary } from './server-errors.ts';

/** An existing pod interface, as policy finds it. */
export interface PodEndpoint {
	readonly pod: { readonly namespace: string; readonly name: string } | undefined;
	readonly hostName: string;
	readonly addresses: readonly string[];
}

export interface PodServiceDependencies {
	readonly addresses: AddressHandlers;
	/** Opened at the first request for an interface. */
	readonly interfaces: () => PodInterfaces;
	/** `undefined`: no folder is configured, and a release without the API server fails. */
	readonly queue: ReleaseQueue | undefined;
	/** Resolves when the policy of a new endpoint is in the kernel; ADD returns afterwards. */
	readonly secured: (endpoint: PodEndpoint) => Promise<void>;
	/** The annotations of the pods; `undefined`: they are not written. */
	readonly annotations?: Pick<PodAnnotations, 'attached' | 'detached'>;
	readonly log: Logger;
}

const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
const interfaceSchema = z.object({
	namespace: z.string(),
	mtuBytes: z.number().int().min(68).max(65535).optional(),
	mac: z.string().regex(macPattern, 'expected a hardware address as 02:00:00:00:00:01').optional(),
});
const wishSchema = z.object({ interface: interfaceSchema.optional() });

type Wish = z.infer<typeof interfaceSchema>;

/**
 * The CNI endpoints with the pod's interface. For a request with `interface` the daemon is the main
 * plugin and creates the interface as well; without it another plugin is the main plugin, and the
 * response has only addresses.
 */
export function podService({
	addresses,
	interfaces,
	queue,
	secured,
	annotations,
	log,
}: PodServiceDependencies): AddressHandlers {
	const wishOf = (request: unknown): Wish | undefined => parse(wishSchema, request).interface;

	async function attach(asked: CniAddRequest, wish: Wish, grants: readonly AddressGrant[]): Promise<Attached> {
		const given = grants.map(({ address }) => address);
		const attached = await interfaces().attach({
			...{ network: asked.network, containerId: asked.containerId, ifname: asked.ifname, pod: asked.pod },
			namespace: wish.namespace,
			addresses: given,
			mtuBytes: wish.mtuBytes,
			mac:
				wish.mac === undefined
					? undefined
					: Uint8Array.from(wish.mac.split(':'), (octet) => Number.parseInt(octet, 16)),
		});
		try {
			await secured({ pod: asked.pod, hostName: attached.hostName, addresses: given });
		} catch (error) {
			await interfaces().detach(asked);
			throw error;
		}
		return attached;
	}

	/** Releases now, or queues the release while the API server is away. */
	async function release(asked: CniAttachment): Promise<{ readonly addresses: readonly string[] }> {
		try {
			return await addresses.cniDelete({ request: asked });
		} catch (error) {
			const temporary = asTemporary(error);
			if (queue === undefined || !(temporary instanceof ControlError) || temporary.status !== 503) throw temporary;
			queue.add(asked);
			return { addresses: [] };
		}
	}

	return {
		...addresses,
		async cniAdd({ request }): Promise<AddressGrantsView> {
			const wish = wishOf(request);
			const view = await addresses.cniAdd({ request });
			if (wish === undefined) return view;
			const asked = request as CniAddRequest;
			try {
				// The runtime's request applies to this attachment, and overrides the pod's
				// annotation.
				const requested = wish.mac ?? view.mac;
				const whole = { ...wish, ...(requested === undefined ? {} : { mac: requested }) };
				// Not awaited: other nodes receive the annotation by their watch.
				void annotations?.attached(
					asked,
					view.addresses.map(({ address }) => address),
				);
				const { hostName, mac, mtuBytes } = await attach(asked, whole, view.addresses);
				return { ...view, interface: { hostName, mac: macText(mac), mtuBytes } };
			} catch (error) {
				void annotations?.detached(asked);
				await release(asked).catch((later: unknown) =>
					log.error('addresses of a failed ADD are not released', {
						container: asked.containerId,
						error: later instanceof Error ? later.message : String(later),
					}),
				);
				throw refusal(error);
			}
		},
		async cniDelete({ request }) {
			const asked = parse(attachmentSchema, request) as CniAttachment;
			// The interface first: a reassigned address must not lead to the old interface.
			if (wishOf(request) === undefined) return addresses.cniDelete({ request });
			await interfaces().detach(asked);
			// Not awaited: a released address is assigned again after all other free ones.
			void annotations?.detached(asked);
			return release(asked);
		},
		async cniCheck({ request }): Promise<AddressGrantsView> {
			const view = await addresses.cniCheck({ request });
			const wish = wishOf(request);
			if (wish === undefined) return view;
			const asked = request as CniCheckRequest;
			try {
				await interfaces().check(asked, wish.namespace, asked.addresses);
			} catch (error) {
				if (!(error instanceof PodInterfaceError)) throw error;
				throw new ControlError(409, 'address-mismatch', error.message, error.hint);
			}
			return view;
		},
		async cniCollect({ request }) {
			const asked = request as CniCollectRequest;
			const released = await addresses.cniCollect({ request });
			if (wishOf(request) !== undefined) await interfaces().collect(asked.network, asked.validAttachments);
			return released;
		},
	};
}

const macText = (mac: Uint8Array): string => [...mac].map((octet) => octet.toString(16).padStart(2, '0')).join(':');

/** Maps a failure to create the interface to an error on which the runtime repeats ADD. */
function refusal(error: unknown): unknown {
	if (error instanceof PodInterfaceError) return new ControlError(500, 'no-interface', error.message, error.hint);
	if (error instanceof ControlError) return error;
	const message = error instanceof Error ? error.message : String(error);
	return new ControlError(500, 'no-interface', message, 'the log of bgpmeshd has more');
}
