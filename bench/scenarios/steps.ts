import type { Answer, Bench, Measured } from '../types.ts';

/** Time after the last receiver is complete in which no wrong message may arrive. */
const quietMs = 200;

/** A step did not complete: the state reached by then. */
export class StepFailedError extends Error {
	override readonly name = 'StepFailedError';
	readonly step: string;
	readonly answer: Answer;

	constructor(step: string, answer: Answer) {
		super(`${step}: ${problemOf(answer)}`);
		this.step = step;
		this.answer = answer;
	}
}

/** A count of the full size, scaled, at least `least`. */
export const scaled = (count: number, scale: number, least = 1): number => Math.max(least, Math.round(count * scale));

/** Waits until these sessions are established. */
export async function connect(bench: Bench, first: number, count: number, { send = false } = {}): Promise<Answer> {
	const answer = await bench.tell(`connect ${first} ${count} ${Math.round(bench.remainingMs())}${send ? ' send' : ''}`);
	if (!answer.done) throw new StepFailedError('not all sessions were established', answer);
	return answer;
}

/** Concurrent handshakes if they are not measured. */
const handshakesInFlight = 4;

/**
 * Establishes sessions a few at a time, which every daemon can handle: separate scenarios measure a
 * storm of connections.
 */
export async function connectCalmly(bench: Bench, first: number, count: number): Promise<void> {
	for (let at = first; at < first + count; at += handshakesInFlight)
		await connect(bench, at, Math.min(handshakesInFlight, first + count - at));
}

/**
 * Sends the queue and waits until these receivers have exactly the expected routes; throws if they
 * don't.
 */
export async function converge(
	bench: Bench,
	first: number,
	count: number,
	{ sinceConnect = false } = {},
): Promise<Answer> {
	const answer = await bench.tell(
		`go ${first} ${count} ${Math.round(bench.remainingMs())} ${quietMs}${sinceConnect ? ' connect' : ''}`,
	);
	if (answer.verified !== true) throw new StepFailedError('not converged', answer);
	return answer;
}

/** The reason why a response is not verified, as text. */
export function problemOf(answer: Answer): string {
	const parts = [
		answer.firstLoss === undefined ? '' : `lost ${answer.lost} sessions (${answer.firstLoss})`,
		answer.missing ? `${answer.missing} prefixes missing` : '',
		answer.wrong ? `${answer.wrong} prefixes wrong` : '',
		answer.firstProblem ?? '',
	].filter((part) => part !== '');
	return parts.join('; ') || 'nothing wrong, but not done in time';
}

/** The measure of a step that converged. */
export function measured(answer: Answer, figures: NonNullable<Measured['figures']> = {}): Measured {
	return {
		seconds: answer.seconds ?? 0,
		verified: answer.verified === true,
		figures: {
			updatesReceived: answer.updates ?? 0,
			receivedMiB: (answer.bytes ?? 0) / 2 ** 20,
			generatorCpuSeconds: answer.cpu ?? 0,
			...figures,
		},
	};
}
