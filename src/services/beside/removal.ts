/** Chains that kube-proxy makes in iptables mode, and no other component. */
const ownChain = new RegExp(
	'^KUBE-(SERVICES|NODEPORTS|EXTERNAL-SERVICES|PROXY-CANARY|PROXY-FIREWALL|FORWARD|POSTROUTING|' +
		'MARK-MASQ|SVC-|SVL-|SEP-|EXT-|FW-|XLB-|LOAD-BALANCER|NODE-PORT|CLUSTER-IP|LOOP-BACK|' +
		'IPVS-FILTER|IPVS-OUT-FILTER|SOURCE-RANGES-FIREWALL)',
);

/**
 * From the output of `iptables-save` the input of `iptables-restore --noflush` that removes what
 * kube-proxy made: rules of other chains that jump there, then the chains. Everything else stays,
 * the kubelet's KUBE-FIREWALL and KUBE-KUBELET-CANARY too. Empty: there is nothing to remove. Pure.
 */
export function iptablesRemoval(saved: string): { readonly script: string; readonly chains: readonly string[] } {
	const parts: string[] = [];
	const removed: string[] = [];
	for (const [, table = '', body = ''] of saved.matchAll(/^\*(\S+)\n([\s\S]*?)^COMMIT$/gm)) {
		const chains = [...body.matchAll(/^:(\S+) /gm)].map(([, name = '']) => name).filter((name) => ownChain.test(name));
		if (chains.length === 0) continue;
		const ours = new Set(chains);
		const jumps = body.split('\n').filter((line) => {
			const [, chain = ''] = /^-A (\S+) /.exec(line) ?? [];
			const [, target = ''] = / (?:-j|-g) (\S+)/.exec(line) ?? [];
			return chain !== '' && !ours.has(chain) && ours.has(target);
		});
		parts.push(
			`*${table}`,
			// A chain that is declared is emptied: then nothing refers to any of them.
			...chains.map((chain) => `:${chain} - [0:0]`),
			...jumps.map((line) => line.replace(/^-A /, '-D ')),
			...chains.map((chain) => `-X ${chain}`),
			'COMMIT',
			'',
		);
		removed.push(...chains);
	}
	return { script: parts.join('\n'), chains: removed };
}
