import { felixProcessNames, felixUnit, isFelixProcess } from '../kubernetes/index.ts';
import { isServiceActive, processesNamed } from '../linux/index.ts';

/** True if Felix runs as a service of this host, without a pod. Reads the names of processes. */
export async function felixRunsOnHost(): Promise<boolean> {
	return (await processesNamed(felixProcessNames)).some(isFelixProcess) || (await isServiceActive(felixUnit));
}
