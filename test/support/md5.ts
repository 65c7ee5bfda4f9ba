import test from 'ava';

import { closeTcpSocket, openTcpSocket, setMd5Key } from '../../src/linux/index.ts';

function kernelHasMd5(): boolean {
	const fd = openTcpSocket('ipv4');
	try {
		setMd5Key(fd, 'ipv4', { bytes: Uint8Array.of(127, 0, 0, 1) }, Uint8Array.of(1));
		return true;
	} catch {
		return false;
	} finally {
		closeTcpSocket(fd);
	}
}

/** `test` if the kernel has TCP MD5 signatures, otherwise a skipped test with the same title. */
export const md5Test = kernelHasMd5() ? test : test.skip;
