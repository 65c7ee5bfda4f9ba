import test from 'ava';
import { startEmbedded } from '../kubernetes/contract/servers.ts';
import { testCalico } from './suite.ts';

testCalico(test, {
	on: "the embedded API server with Calico's definitions",
	missing: [],
	definitions: 'of Calico',
	start: () => startEmbedded(),
});
