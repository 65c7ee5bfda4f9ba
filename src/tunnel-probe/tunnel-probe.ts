import type { Clock, Family, Logger, Timer } from '../core/index.ts';
import type { EchoSocket } from '../linux/index.ts';
import { decodeEchoReply, encodeEchoRequest, leastEchoBytes } from './echo.ts';
import type { MtuHole, ProbeTarget } from './types.ts';

export interface TunnelProbeDependencies {
	/** `undefined`: switched off. Read before each round. */
	readonly intervalSeconds: () => number | undefined;
	/** The tunnels in use at present. */
	readonly targets: () => Promise<readonly ProbeTarget[]>;
	/** @throws Error if the process may not open it */
	readonly open: (family: Family) => EchoSocket;
	readonly clock: Clock;
	readonly log: Logger;
}

/**
 * Targets examined at the same time, and the pause of each between two targets: 16 targets a second
 * at most.
 */
const mostAtOnce = 8;
const spacingMs = 500;
const replyMs = 1000;
const lookMs = 20;
const attempts = 3;
/** Bytes of the small packet, as `ping` sends it. */
const smallBytes = 84;
const whileOffMs = 5000;

/**
 * Looks for black holes: links between nodes that lose packets of the tunnel's full size without an
 * answer, so that no sender learns a smaller size (RFC 2923 §2.1). Each target gets an echo request
 * of the tunnel's MTU that must not be fragmented; where only a small one is answered, the largest
 * size that arrives is searched. A target that answers neither is no finding.
 */
export class TunnelProbe {
	readonly #dependencies: TunnelProbeDependencies;
	readonly #holes = new Map<string, MtuHole>();
	readonly #identifier: number;
	#sequence = 0;
	/** The result of the last search: other targets often have the same bottleneck. */
	#lastPassed: number | undefined;
	#complained: string | undefined;
	#stopped = false;
	#timer: Timer | undefined;

	/** `identifier`: 16 bits that distinguish the requests of this process. */
	constructor(dependencies: TunnelProbeDependencies, identifier: number = process.pid & 0xffff) {
		this.#dependencies = dependencies;
		this.#identifier = identifier;
	}

	/** The black holes of the last round, by node. */
	get holes(): readonly MtuHole[] {
		return [...this.#holes.values()];
	}

	start(): void {
		this.#arm(0);
	}

	stop(): void {
		this.#stopped = true;
		this.#timer?.cancel();
	}

	#arm(delayMs: number): void {
		if (this.#stopped) return;
		this.#timer = this.#dependencies.clock.after(delayMs, () => void this.#turn());
	}

	async #turn(): Promise<void> {
		const intervalSeconds = this.#dependencies.intervalSeconds();
		if (intervalSeconds === undefined) {
			this.#holes.clear();
			this.#arm(whileOffMs);
			return;
		}
		try {
			await this.round();
			this.#complained = undefined;
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			if (reason !== this.#complained)
				this.#dependencies.log.warn('tunnels could not be probed', { reason, retry: 'with the next round' });
			this.#complained = reason;
		}
		this.#arm(intervalSeconds * 1000);
	}

	/** Examines every target once. @throws the error of a socket that could not be opened */
	async round(): Promise<void> {
		const targets = await this.#dependencies.targets();
		const known = new Set(targets.map(keyOf));
		for (const key of this.#holes.keys()) if (!known.has(key)) this.#holes.delete(key);
		const queue = targets.values();
		const work = async () => {
			for (const target of queue) {
				if (this.#stopped) return;
				await this.#examine(target);
				await this.#pause(spacingMs);
			}
		};
		await Promise.all(Array.from({ length: Math.min(mostAtOnce, targets.length) }, work));
	}

	async #examine(target: ProbeTarget): Promise<void> {
		const socket = this.#dependencies.open(target.family);
		const answers = (packetBytes: number) => this.#answers(socket, target, packetBytes);
		try {
			if ((await answers(target.mtuBytes)) || !(await answers(smallBytes))) {
				this.#close(target);
				return;
			}
			const passesBytes = await this.#largest(target, answers);
			// A loss of all three packets of full size is possible on a path that works.
			if (this.#stopped || passesBytes >= target.mtuBytes - 1 || (await answers(target.mtuBytes))) {
				this.#close(target);
				return;
			}
			this.#lastPassed = passesBytes;
			this.#holes.set(keyOf(target), { ...target, passesBytes });
		} finally {
			socket.close();
		}
	}

	#close(target: ProbeTarget): void {
		this.#holes.delete(keyOf(target));
	}

	/** The largest size that is answered, by bisection, after a look at the last result. */
	async #largest(target: ProbeTarget, answers: (packetBytes: number) => Promise<boolean>): Promise<number> {
		let [passes, fails] = [smallBytes, target.mtuBytes];
		const guess = this.#lastPassed;
		if (guess !== undefined && guess > passes && guess + 1 < fails) {
			if (await answers(guess)) passes = guess;
			else fails = guess;
			if (passes === guess && !(await answers(guess + 1))) fails = guess + 1;
		}
		while (fails - passes > 1 && !this.#stopped) {
			const middle = (passes + fails) >> 1;
			if (await answers(middle)) passes = middle;
			else fails = middle;
		}
		return passes;
	}

	/** Is one of some requests of that size answered? */
	async #answers(socket: EchoSocket, target: ProbeTarget, packetBytes: number): Promise<boolean> {
		const { family, tunnelAddress } = target;
		const size = Math.max(packetBytes, leastEchoBytes(family));
		const { clock } = this.#dependencies;
		const sent = new Set<number>();
		for (let attempt = 0; attempt < attempts && !this.#stopped; attempt++) {
			this.#sequence = (this.#sequence + 1) & 0xffff;
			const echo = { identifier: this.#identifier, sequence: this.#sequence };
			sent.add(echo.sequence);
			socket.send(tunnelAddress, encodeEchoRequest(family, size, echo));
			for (const deadline = clock.monotonicMs() + replyMs; clock.monotonicMs() < deadline && !this.#stopped; ) {
				const isAnswered = socket.receive().some((message) => {
					const reply = decodeEchoReply(family, message);
					return reply?.identifier === this.#identifier && sent.has(reply.sequence);
				});
				if (isAnswered) return true;
				await this.#pause(lookMs);
			}
		}
		return false;
	}

	#pause(delayMs: number): Promise<void> {
		return new Promise((resolve) => this.#dependencies.clock.after(delayMs, resolve));
	}
}

const keyOf = ({ node, device, tunnelAddress }: ProbeTarget): string => `${node} ${device} ${tunnelAddress}`;
