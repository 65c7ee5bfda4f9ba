import type { Family } from '../core/index.ts';
import type { PodOwner } from './names.ts';

/** An interface of a pod on the node. */
export interface HostInterface {
	readonly name: string;
	readonly index: number;
	readonly up: boolean;
	/** `undefined`: another program made it. */
	readonly owner: PodOwner | undefined;
}

/** What an interface of a pod is made from. */
export interface InterfacePlan {
	readonly hostName: string;
	readonly owner: PodOwner;
	/** A path of the pod's network namespace. */
	readonly namespace: string;
	readonly mtuBytes: number;
	/** Hardware address of the pod's end; `undefined`: the kernel chooses. */
	readonly mac: Uint8Array | undefined;
	readonly families: readonly Family[];
}

/** The pair that was made. */
export interface CreatedPair {
	/** Index of the node's end. */
	readonly index: number;
	/** Of the pod's end. */
	readonly mac: Uint8Array;
	readonly mtuBytes: number;
}

/** What a pod's end looks like. */
export interface PodEnd {
	readonly mac: Uint8Array;
	readonly mtuBytes: number;
	readonly addresses: readonly string[];
	/** Families with a default route through this interface. */
	readonly defaultRoutes: readonly Family[];
}

/** The kernel as pods' interfaces are made in it. */
export interface PodKernel {
	/** Interfaces whose names begin as those of pods do. */
	interfaces(): Promise<readonly HostInterface[]>;
	/** The interface of this name on the node; `undefined`: there is none. */
	find(name: string): Promise<HostInterface | undefined>;
	/**
	 * Makes both ends with addresses, gateway and settings; routes of the node come after. @throws
	 * Error with the kernel's words
	 */
	create(plan: InterfacePlan): Promise<CreatedPair>;
	/** Applies the settings of the node's end again and sets it up. */
	restore(name: string, index: number, families: readonly Family[]): Promise<void>;
	/**
	 * Adds the routes of a pod's addresses. @throws RouteTakenError where another interface has one
	 */
	addRoutes(addresses: readonly string[], index: number): Promise<void>;
	/** Addresses with a /32 or /128 route through the interface. */
	routedAddresses(index: number): Promise<readonly string[]>;
	/** Removes the pair; one that is gone is no error. */
	remove(index: number): Promise<void>;
	/** @throws Error where the namespace is gone; `undefined`: it has no such interface */
	inspect(namespace: string, ifname: string): Promise<PodEnd | undefined>;
	/** MTU of the interface of the default route; `undefined`: there is none. */
	uplinkMtuBytes(): Promise<number | undefined>;
	close(): void;
}

/** The route of an address leads elsewhere. */
export class RouteTakenError extends Error {
	override readonly name = 'RouteTakenError';
	readonly address: string;
	readonly index: number | undefined;

	/** @param index of the interface that has the route */
	constructor(address: string, index: number | undefined) {
		super(`the route of ${address} leads through interface ${index ?? 'unknown'}`);
		this.address = address;
		this.index = index;
	}
}
