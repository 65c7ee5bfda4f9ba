import type { MonitorEvent } from '../control/index.ts';

interface Reader {
	readonly routes: boolean;
	readonly send: (event: MonitorEvent) => void;
}

/** Hands events to those who watch. Nothing is made for nobody: ask `watched` before building an event. */
export class MonitorHub {
	readonly #readers = new Set<Reader>();
	#followRoutes: (() => () => void) | undefined;
	#unfollowRoutes: (() => void) | undefined;

	/** How best-route changes are followed, and no longer: asked for only while somebody reads them. */
	setRouteSource(follow: () => () => void): void {
		this.#followRoutes = follow;
		this.#matchRoutes();
	}

	/** Adds a reader until its signal aborts. */
	join(routes: boolean, send: (event: MonitorEvent) => void, signal: AbortSignal): void {
		const reader: Reader = { routes, send };
		this.#readers.add(reader);
		this.#matchRoutes();
		signal.addEventListener(
			'abort',
			() => {
				this.#readers.delete(reader);
				this.#matchRoutes();
			},
			{ once: true },
		);
	}

	/** Does anybody want events of this type? */
	watched(type: MonitorEvent['type']): boolean {
		for (const { routes } of this.#readers) if (type !== 'route' || routes) return true;
		return false;
	}

	tell(event: MonitorEvent): void {
		for (const { routes, send } of this.#readers) if (event.type !== 'route' || routes) send(event);
	}

	#matchRoutes(): void {
		if (!this.watched('route')) {
			this.#unfollowRoutes?.();
			this.#unfollowRoutes = undefined;
		} else this.#unfollowRoutes ??= this.#followRoutes?.();
	}
}
