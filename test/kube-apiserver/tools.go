//go:build tools

// Package tools names the commands that the contract suite builds: a real kube-apiserver and the kubectl of the same release.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
