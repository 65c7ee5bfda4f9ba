// Command felix is Calico's agent of a node, built without C, for tests beside our daemon.
package main

import "github.com/projectcalico/calico/felix/daemon"

func main() {
	daemon.Run("/etc/calico/felix.cfg", "bgpmesh-test", "", "")
}
