//go:build tools

// Package tools names the commands that the compatibility suite builds: Calico's own calicoctl and CNI plugin.
package main

import (
	_ "github.com/projectcalico/calico/calicoctl/calicoctl"
	_ "github.com/projectcalico/calico/cni-plugin/cmd/calico"
)
