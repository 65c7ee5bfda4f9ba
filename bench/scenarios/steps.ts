import type { Answer, Bench, Measured } from '../types.ts';

/** How long nothing wrong may arrive after the last receiver is complete. */
const quietMs = 200;

/** A step did not come to its end: what was reached by then. */
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

/** Handshakes at a time where nobody measures them. */
const handshakesInFlight = 4;

/** Establishes sessions a few at a time, which every daemon can do: how one takes a storm of connections is told by scenarios of its own. */
export async function connectCalmly(bench: Bench, first: number, count: number): Promise<void> {
	for (let at = first; at < first + count; at += handshakesInFlight) await connect(bench, at, Math.min(handshakesInFlight, first + count - at));
}

/** Sends what is queued and waits until these receivers have exactly what they should have; throws where they don't. */
export async function converge(bench: Bench, first: number, count: number, { sinceConnect = false } = {}): Promise<Answer> {
	const answer = await bench.tell(`go ${first} ${count} ${Math.round(bench.remainingMs())} ${quietMs}${sinceConnect ? ' connect' : ''}`);
	if (answer.verified !== true) throw new StepFailedError('not converged', answer);
	return answer;
}

/** What makes an answer other than verified, in words. */
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
		figures: { updatesReceived: answer.updates ?? 0, receivedMiB: (answer.bytes ?? 0) / 2 ** 20, generatorCpuSeconds: answer.cpu ?? 0, ...figures },
	};
}
