//go:build tools

// Package tools names Helm, which renders the chart in config in the tests.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
