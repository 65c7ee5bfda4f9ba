//go:build tools

// Package tools names cyclonus, which probes network policies of a real Kubernetes cluster.
package tools

import (
	_ "github.com/mattfenwick/cyclonus/cmd/cyclonus"
	_ "github.com/mattfenwick/cyclonus/cmd/worker"
)
