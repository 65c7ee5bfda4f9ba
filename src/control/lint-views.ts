/** What contradicts itself in the cluster's resources. */
export interface LintView {
	readonly checked: {
		readonly nodes: number;
		readonly pools: number;
		readonly peers: number;
		readonly filters: number;
	};
	/** Errors first. */
	readonly findings: readonly {
		readonly severity: 'error' | 'warning';
		readonly rule: string;
		readonly subject: string;
		readonly problem: string;
		readonly hint: string;
	}[];
}
