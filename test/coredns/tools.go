//go:build tools

// Package tools names CoreDNS, the cluster's DNS server in the tests with a real Kubernetes cluster.
package tools

import _ "github.com/coredns/coredns"
