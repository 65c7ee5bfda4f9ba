import { qemuKernel } from '../../lab/qemu/index.ts';
import { testIpip } from '../felix/ipip.ts';

testIpip(qemuKernel('6.12'), 'nft');
