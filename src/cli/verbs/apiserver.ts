import { defineVerb, UsageError } from '../verb.ts';

export const apiserver = defineVerb({
	options: (yargs) =>
		yargs
			.option('data', {
				type: 'string',
				requiresArg: true,
				describe: 'folder that keeps everything; without it all is forgotten at the end',
			})
			.option('listen', {
				type: 'string',
				requiresArg: true,
				default: '127.0.0.1:6443',
				describe: 'ADDRESS:PORT; port 0: any free one',
			})
			.option('token-file', {
				type: 'string',
				requiresArg: true,
				describe: 'lines of TOKEN,USER,UID,"GROUPS"; members of system:masters may everything',
			})
			.option('tls-cert', {
				type: 'string',
				requiresArg: true,
				describe: 'certificate (PEM); without it the server makes its own',
			})
			.option('tls-key', { type: 'string', requiresArg: true, describe: 'its key (PEM)' })
			.option('kubeconfig', { type: 'string', requiresArg: true, describe: 'where to write the way in for kubectl' })
			.option('service-cidr', {
				type: 'string',
				requiresArg: true,
				default: '10.96.0.0/16',
				describe: 'addresses for Services',
			})
			.option('crds', {
				type: 'boolean',
				default: true,
				describe: "define Calico's resources at the start (--no-crds: do not)",
			}),
	async run(
		{ data, listen, tokenFile, tlsCert, tlsKey, kubeconfig, serviceCidr, crds },
		{ apiServer, complain, signal, write },
	) {
		if ((tlsCert === undefined) !== (tlsKey === undefined))
			throw new UsageError('--tls-cert and --tls-key go together');
		const place = /^\[?([^\]]+)\]?:(\d{1,5})$/.exec(listen);
		const address = place?.[1] ?? '';
		const port = Number(place?.[2] ?? Number.NaN);
		if (place === null || port > 65535) throw new UsageError(`--listen takes ADDRESS:PORT, not '${listen}'`);
		if (apiServer === undefined) throw new UsageError('this bgpmesh comes without an API server');
		const files = { data, tokenFile, tlsCert, tlsKey, kubeconfig };
		return apiServer({ address, port, serviceCidr, crds, files }, { write, complain, signal });
	},
});
