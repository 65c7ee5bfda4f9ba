/**
 * The unit of this repository installed in a guest with systemd as the first process, with a BIRD as
 * neighbour in the namespace `tor`.
 */
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemEnvironment } from '../../../src/linux/index.ts';
import { must, run } from '../../support/statements.ts';

export const unit = 'bgpmeshd.service';
/** An address behind BIRD. */
export const service = '203.0.113.1';
export const configFile = '/etc/bgpmesh/bgpmeshd.yaml';
export const dropIns = `/etc/systemd/system/${unit}.d`;
/** One ping every 100 ms to the address behind BIRD. */
export const pingService: readonly string[] = ['ping', '-n', '-i', '0.1', service];

const birdSocket = '/run/tmp/bird.ctl';

/** A property of the unit, as systemd shows it. */
export const show = async (property: string): Promise<string> =>
	(await must('systemctl', 'show', unit, '-p', property, '--value')).trim();
export const mainPid = async (): Promise<number> => Number(await show('MainPID'));
export const hasRoute = async (): Promise<boolean> =>
	(await must('ip', 'route', 'show', '203.0.113.0/24')).includes('via 10.9.0.2');
/** By the neighbour: a start of our own command takes seconds in this kernel. */
const isEstablished = async () =>
	/\bEstablished\b/.test((await run('birdc', '-s', birdSocket, 'show', 'protocols', 'guest')).output);
/** The session and its route are there. */
export const works = async (): Promise<boolean> => (await hasRoute()) && (await isEstablished());
/** Does the neighbour have this route from us? */
export const birdHas = async (prefix: string): Promise<boolean> =>
	(await run('birdc', '-s', birdSocket, 'show', 'route', prefix)).output.includes('via 10.9.0.1');
/** What the journal has of the unit. */
export const journal = (...words: string[]): Promise<string> => must('journalctl', '-u', unit, '--no-pager', ...words);

/** A configuration; `more`: other keys of the first level. */
export const config = (
	{ asNumber = '64512', originate = [] }: { asNumber?: string; originate?: readonly string[] } = {},
	more = '',
): string => `node: guest
bgp:
  asNumber: ${asNumber}
  routerId: 10.9.0.1
  originate: [${originate.join(', ')}]
  peers:
    - name: tor
      address: 10.9.0.2
      asNumber: 64999
      localAddress: 10.9.0.1
      connectRetrySeconds: 2
      importPolicies: [all]
      exportPolicies: [all]
policies:
  all: { terms: [{ action: accept }] }
${more}`;
const bird = `log stderr { warning, error, fatal, bug };
router id 10.9.0.2;
protocol device {}
protocol static { ipv4; route 203.0.113.0/24 blackhole; }
protocol bgp guest { local 10.9.0.2 as 64999; neighbor 10.9.0.1 as 64512; graceful restart on;
  connect delay time 1; connect retry time 2; ipv4 { import all; export where source = RTS_STATIC; }; }
`;

/** Installs what `folder` holds as a package would, and starts the neighbour. */
export async function install(folder: string): Promise<void> {
	cpSync(folder, '/usr/lib/bgpmesh', { recursive: true });
	// The daemon is another user than the owner of a temporary folder.
	chmodSync('/usr/lib/bgpmesh', 0o755);
	for (const name of ['bgpmeshd', 'bgpmesh'])
		writeFileSync(
			`/usr/bin/${name}`,
			`#!/bin/sh\nexec ${process.execPath} /usr/lib/bgpmesh/${name}/${name}.mjs "$@"\n`,
			{ mode: 0o755 },
		);
	mkdirSync('/etc/bgpmesh', { recursive: true });
	writeFileSync(configFile, config());
	cpSync(join(folder, 'systemd/bgpmesh.sysusers.conf'), '/usr/lib/sysusers.d/bgpmesh.conf');
	await must('systemd-sysusers', '/usr/lib/sysusers.d/bgpmesh.conf');
	cpSync(join(folder, 'systemd', unit), join('/etc/systemd/system', unit));
	// The network is made here, and this slow kernel needs longer than the unit's times allow.
	mkdirSync(dropIns, { recursive: true });
	writeFileSync(join(dropIns, 'guest.conf'), '[Service]\nTimeoutStartSec=300\n');
	await must('systemctl', 'mask', 'network-online.target');
	await must('systemctl', 'daemon-reload');
	for (const words of [
		'netns add tor',
		'link add up0 type veth peer name eth0 netns tor',
		'addr add 10.9.0.1/24 dev up0',
		'link set up0 up',
		'-n tor addr add 10.9.0.2/24 dev eth0',
		`-n tor addr add ${service}/32 dev lo`,
		'-n tor link set eth0 up',
		'-n tor link set lo up',
	])
		await must('ip', ...words.split(' '));
	writeFileSync('/run/tmp/bird.conf', bird);
	const child = spawn('ip', ['netns', 'exec', 'tor', 'bird', '-f', '-c', '/run/tmp/bird.conf', '-s', birdSocket], {
		stdio: ['ignore', 'ignore', 'inherit'],
		env: systemEnvironment(),
	});
	process.once('exit', () => child.kill());
}

/** The end of the journal of the unit, for a failure. */
export const trouble = async (): Promise<string> =>
	(await run('journalctl', '-u', unit, '-n', '25', '--no-pager')).output;
