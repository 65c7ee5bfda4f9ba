import type { MonitorEvent } from '../../control/index.ts';
import { moment, paint, type Screen, tame } from './screen.ts';

/** One event as a line. */
export function renderEvent(screen: Screen, event: MonitorEvent): string {
	return `${paint(screen, 'dim', moment(event.at))} ${text(screen, event)}\n`;
}

function text(screen: Screen, event: MonitorEvent): string {
	switch (event.type) {
		case 'session': {
			const style = event.event === 'established' ? 'good' : event.event === 'ended' ? 'bad' : 'plain';
			const what = paint(screen, style, event.event === 'state' ? event.state : event.event);
			return `${tame(event.peer)} ${what}${event.reason === undefined ? '' : `: ${tame(event.reason)}`}`;
		}
		case 'route': {
			const way =
				event.change === 'remove'
					? ''
					: ` via ${event.nextHop ?? 'this node'}${event.peer === undefined ? '' : ` from ${tame(event.peer)}`}`;
			return `${event.change === 'remove' ? '-' : '+'} ${event.prefix}${way}`;
		}
		case 'config':
			return `configuration ${event.event}: ${tame(event.message)}`;
		case 'lost':
			return paint(screen, 'odd', `${event.count} events were left out: this reader was too slow`);
		default:
			return event satisfies never;
	}
}
