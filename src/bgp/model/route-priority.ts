/**
 * The kernel metric of a route as LOCAL_PREF, as Calico 3.32 passes it between the nodes of one AS:
 * the lower the metric, the higher LOCAL_PREF. A route to a virtual machine that has just moved has
 * a lower metric than all others (`ipv4ElevatedRoutePriority`), so that every node prefers its new
 * place.
 */
const mostMetric = 0x7fff_ffff;

/** Calico's `ipv4NormalRoutePriority` and `ipv6NormalRoutePriority`. */
export const defaultNormalPriority = 1024;

/** LOCAL_PREF for a metric of 1 to 2147483646. Pure. */
export const localPrefOf = (metric: number): number => mostMetric - metric;

/**
 * The metric of a LOCAL_PREF that stands for a preferred route; `undefined`: an ordinary
 * LOCAL_PREF, or that of a route of normal priority. Pure.
 */
export function elevatedMetricOf(localPref: number | undefined, normalPriority: number): number | undefined {
	if (localPref === undefined || localPref <= mostMetric - normalPriority || localPref >= mostMetric) return undefined;
	return mostMetric - localPref;
}
