import { numberOf, textOf, textsOf } from './fields.ts';
import { type Resource, specOf } from './resource.ts';

/** What a CalicoNodeStatus may ask a node for. */
export const nodeStatusClasses = ['Agent', 'BGP', 'Routes'] as const;
export type NodeStatusClass = (typeof nodeStatusClasses)[number];

/** A CalicoNodeStatus: what one node is asked to tell of itself. */
export interface NodeStatusRequest {
	readonly name: string;
	readonly node: string;
	readonly classes: readonly NodeStatusClass[];
	/** 0: told once, not again. */
	readonly updatePeriodSeconds: number;
}

const defaultPeriodSeconds = 10;
const mostPeriodSeconds = 86_400;

/** With Calico's defaults; classes that are not known are passed over. */
export function toNodeStatusRequest(resource: Resource): NodeStatusRequest {
	const spec = specOf(resource);
	const asked = textsOf(spec, 'classes');
	const period = numberOf(spec, 'updatePeriodSeconds') ?? defaultPeriodSeconds;
	return {
		name: resource.name,
		node: textOf(spec, 'node') ?? '',
		classes: nodeStatusClasses.filter((name) => asked.includes(name)),
		updatePeriodSeconds: Math.min(Math.max(0, period), mostPeriodSeconds),
	};
}
