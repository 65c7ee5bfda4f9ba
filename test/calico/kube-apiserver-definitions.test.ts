import test from 'ava';
import { missing, startReal } from '../kubernetes/contract/servers.ts';
import { testCalico } from './suite.ts';

testCalico(test, {
	on: "a real kube-apiserver with Calico's definitions",
	missing,
	definitions: 'of Calico',
	start: startReal,
});
