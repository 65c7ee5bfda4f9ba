import type { Negotiated, Rib, RibPeerOptions, SessionEnd, SessionReceiver, SessionSink } from '../../src/bgp/index.ts';

/** One session from the view of the RIB. */
export interface RecordedSession {
	readonly negotiated: Negotiated;
	readonly options: RibPeerOptions;
	readonly sink: SessionSink;
	readonly updates: Uint8Array[];
	readonly refreshes: string[];
	drained: number;
	ended: SessionEnd | undefined;
}

/**
 * A RIB without routes that records the calls of sessions. `onUpdate` may throw a `PacketError`, as
 * the real one does.
 */
export class FakeRib implements Rib {
	readonly sessions: RecordedSession[] = [];
	readonly forgotten: string[] = [];
	readonly reconfigured: string[] = [];
	readonly resent: string[] = [];
	onUpdate: (session: RecordedSession, bytes: Uint8Array) => void = () => {};
	onEstablished: (session: RecordedSession) => void = () => {};
	#inSync: (() => void)[] = [];
	inSync = false;
	readonly waitingFor: readonly string[] = [];

	established(negotiated: Negotiated, options: RibPeerOptions, sink: SessionSink): SessionReceiver {
		const session: RecordedSession = {
			negotiated,
			options,
			sink,
			updates: [],
			refreshes: [],
			drained: 0,
			ended: undefined,
		};
		this.sessions.push(session);
		this.onEstablished(session);
		const refuseAfterEnd = (): void => {
			if (session.ended !== undefined) throw new Error('called after it ended');
		};
		return {
			update: (buffer, start, end) => {
				refuseAfterEnd();
				const bytes = buffer.slice(start, end);
				session.updates.push(bytes);
				this.onUpdate(session, bytes);
			},
			refresh: (family, subtype) => {
				refuseAfterEnd();
				session.refreshes.push(`${family} ${subtype}`);
			},
			drained: () => {
				refuseAfterEnd();
				session.drained++;
			},
			ended: (end) => {
				refuseAfterEnd();
				session.ended = end;
			},
		};
	}

	/** The sessions of a peer, oldest first. */
	of(peerName: string): RecordedSession[] {
		return this.sessions.filter(({ negotiated }) => negotiated.peerName === peerName);
	}

	reachSync(): void {
		this.inSync = true;
		for (const listener of this.#inSync) listener();
	}

	reconfigure(peerName: string): void {
		this.reconfigured.push(peerName);
	}
	resend(peerName: string): void {
		this.resent.push(peerName);
	}
	forget(peerName: string): void {
		this.forgotten.push(peerName);
	}
	onInSync(listener: () => void): void {
		this.#inSync.push(listener);
	}
	setIdentity(): void {}
	nextHopsChanged(): void {}
	originate(): void {}
	withdrawOrigin(): void {}
	onChanges() {
		return () => undefined;
	}
	expectPeers(): void {}
	nearLimit(): [] {
		return [];
	}
	withoutNextHop(): [] {
		return [];
	}
	covering(): [] {
		return [];
	}

	eachRoute(): [] {
		return this.routes();
	}

	routes(): [] {
		return [];
	}
	explain(): never {
		throw new Error('the fake keeps no routes');
	}
	nextHops(): [] {
		return [];
	}
	counts(): [] {
		return [];
	}
	malformed(): undefined {}
	statistics(): never {
		throw new Error('the fake keeps no routes');
	}
}
