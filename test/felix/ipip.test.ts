import { umlKernel } from '../../lab/uml/index.ts';
import { testIpip } from './ipip.ts';

testIpip(umlKernel, 'legacy');
