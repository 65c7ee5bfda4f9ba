/**
 * BGP daemons of other projects in two ages: those of the host (Debian 12 contains releases of
 * 2022), and those of Debian unstable in a folder that `npm run setup:peers` builds. Programs of
 * that folder run under chroot in their own mount namespace, so no unmount is needed; the folder
 * for temporary files is bound at its own path.
 */
import { existsSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const peerAges = ['host', 'sid'] as const;
export type PeerAge = (typeof peerAges)[number];

/** The folder in which `npm run setup:peers` builds Debian unstable. */
export const sidRoot = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'bgpmesh/peers/sid');

/** The age for tests: `BGPMESH_PEERS=sid`, which `npm test -- --peers sid` sets. */
export const testedAge: PeerAge = process.env['BGPMESH_PEERS'] === 'sid' ? 'sid' : 'host';

/** A file of the given age, as a path for this process. */
export const pathAt = (age: PeerAge, file: string): string => (age === 'sid' ? join(sidRoot, file) : file);

/** The reason why the program cannot run; `undefined`: it can. */
export function missingAt(age: PeerAge, file: string, name: string): string | undefined {
	if (age === 'sid' && process.getuid?.() !== 0) return 'Debian unstable is entered by chroot, which needs root';
	if (existsSync(pathAt(age, file))) return undefined;
	return age === 'sid' ? `${name} of Debian unstable is absent: npm run setup:peers` : `${name} is not installed`;
}

/** Mounts, then executes the program: the process keeps its pid, and the mounts end with it. */
const entering = `
set -e
root=$1 temporary=$2 user=$3 folder=$4
shift 4
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root$temporary"
mount --rbind "$temporary" "$root$temporary"
exec chroot --userspec="$user" "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
`;

/**
 * The command line that runs `command` in the given age. `user`: a numeric id, the same on the host
 * and in the folder; the host's command is unchanged.
 */
export function enter(
	age: PeerAge,
	command: readonly string[],
	{ user = 0, folder = tmpdir() }: { readonly user?: number; readonly folder?: string } = {},
): readonly string[] {
	if (age === 'host') return command;
	const namespace = ['unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c', entering, 'sh'];
	return [...namespace, sidRoot, tmpdir(), `${user}:${user}`, folder, ...command];
}
