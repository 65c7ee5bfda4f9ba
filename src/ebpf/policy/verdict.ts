import type { Family } from '../../core/index.ts';
import type { Direction } from '../../policy/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3, r4 } from '../assembly/instruction.ts';
import { emitKeep, emitKeepFragments } from './connection.ts';
import { counterKey, EventAction, type ProgramDecision, ProgramResult } from './decision.ts';
import {
	copyAddress,
	destinationPortRegister,
	type Frame,
	protocolRegister,
	sourcePortRegister,
	storeEndpoint,
} from './frame.ts';
import { Layout, Switch } from './maps.ts';
import { emitRedirectBegun, emitRedirectKnown } from './redirect.ts';
import { emitIfLocal } from './route.ts';

export interface VerdictOptions {
	readonly assembler: Assembler;
	readonly frame: Frame;
	readonly direction: Direction;
	/** Number of a decision in events. */
	readonly numberOf: (decision: ProgramDecision) => number;
}

/** Flags of BPF_RINGBUF: by default readers are woken up. */
const wakeUp = 0;

/** Records the decision and jumps to its end: `allow` or `deny`. */
export function emitDecide(options: VerdictOptions, decision: ProgramDecision, target: 'allow' | 'deny'): void {
	const { assembler, frame, direction, numberOf } = options;
	assembler.store('w', fp, frame.event + Layout.event.decision, imm(numberOf(decision)));
	assembler.loadWide(r1, counterKey(direction, target, decision)).store('dw', fp, frame.counter, r1);
	assembler.jump(target);
}

/**
 * The ends of a program, as labels: `allow` keeps the connection, `established` lets the packet
 * pass, from a pod by the shortest way, `pass` lets it pass, `deny` reports it, `drop` is silent.
 * `deniesToHost`: what the routes of this node deliver to itself is denied in place of allowed.
 * `redirects`: packets to other pods, of connections that begin here, or that are known.
 */
export function emitEnds(
	options: VerdictOptions,
	{ deniesToHost, redirects }: { readonly deniesToHost: boolean; readonly redirects: 'none' | 'begun' | 'known' },
): void {
	const { assembler, frame } = options;
	assembler.label('allow');
	if (deniesToHost) emitDenyToHost(options);
	emitKeep({ assembler, frame }, () => {
		emitCount(options);
		emitFlowEvent(options);
	});
	assembler.label('established');
	emitKeepFragments({ assembler, frame });
	if (redirects === 'begun') emitRedirectBegun(assembler, frame);
	else if (redirects === 'known') emitRedirectKnown(assembler, frame);
	assembler.label('pass').mov(r0, imm(-1)).exit();
	assembler.label('deny');
	emitCount(options);
	emitEvent(options, EventAction.deny);
	assembler.label('drop').mov(r0, imm(ProgramResult.drop)).exit();
}

/** Loses the event if the ring buffer is full. */
export function emitEvent(
	{ assembler, frame: { event } }: VerdictOptions,
	action: (typeof EventAction)[keyof typeof EventAction],
): void {
	assembler.store('b', fp, event + Layout.event.action, imm(action));
	assembler.call('ktimeGetNs').store('dw', fp, event, r0);
	assembler.loadMap(r1, 'events').address(r2, event).mov(r3, imm(Layout.event.bytes)).mov(r4, imm(wakeUp));
	assembler.call('ringBufferOutput');
}

/** Denies what the routes of this node deliver to itself. */
function emitDenyToHost(options: VerdictOptions): void {
	emitIfLocal(options.assembler, options.frame, () => emitDecide(options, { type: 'to-host' }, 'deny'));
}

/** All of the event that does not depend on the decision. `rules`: see `rulesNumber`. */
export function emitBeginEvent(assembler: Assembler, frame: Frame, family: Family, rules: number): void {
	const { event, source, destination } = frame;
	const at = Layout.event;
	storeEndpoint(assembler.zero(event, at.bytes), event + at.endpoint);
	assembler.store('b', fp, event + at.rules, imm(rules));
	assembler.store('b', fp, event + at.family, imm(family === 'ipv4' ? 4 : 6));
	assembler.store('b', fp, event + at.protocol, protocolRegister);
	assembler.store('h', fp, event + at.sourcePort, sourcePortRegister);
	assembler.store('h', fp, event + at.destinationPort, destinationPortRegister);
	copyAddress(assembler, event + at.source, source);
	copyAddress(assembler, event + at.destination, destination);
}

/** One more packet of the decision. A map that is full counts no further decisions. */
export function emitCount({ assembler, frame: { counter, count } }: VerdictOptions): void {
	assembler.lookup('counters', counter).mov(r1, imm(1));
	assembler.when(
		r0,
		'!=',
		imm(0),
		() => assembler.atomicAdd(r0, 0, r1),
		() => {
			assembler.store('dw', fp, count, r1);
			assembler.update('counters', counter, count);
		},
	);
}

/** An event for a connection that begins, while it is asked for. */
export function emitFlowEvent(options: VerdictOptions): void {
	const { assembler, frame } = options;
	const quiet = assembler.freshLabel('quiet');
	assembler.store('dw', fp, frame.count, imm(Switch.flows)).lookup('switches', frame.count);
	assembler.jumpIf(r0, '==', imm(0), quiet).load('w', r1, r0, 0).jumpIf(r1, '==', imm(0), quiet);
	emitEvent(options, EventAction.allow);
	assembler.label(quiet);
}
