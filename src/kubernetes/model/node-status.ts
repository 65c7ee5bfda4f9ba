import { numberOf, textOf, textsOf } from './fields.ts';
import { type Resource, specOf } from './resource.ts';

/** The classes of information in a CalicoNodeStatus. */
const nodeStatusClasses = ['Agent', 'BGP', 'Routes'] as const;
export type NodeStatusClass = (typeof nodeStatusClasses)[number];

/** A CalicoNodeStatus: a request for status information of one node. */
export interface NodeStatusRequest {
	readonly name: string;
	readonly node: string;
	readonly classes: readonly NodeStatusClass[];
	/** 0: reported once. */
	readonly updatePeriodSeconds: number;
}

const defaultPeriodSeconds = 10;
const mostPeriodSeconds = 86_400;

/** Applies Calico's defaults; unknown classes are skipped. */
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
