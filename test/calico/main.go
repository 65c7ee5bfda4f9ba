// Command calico-driver lets tests use Calico's own IPAM client: a request on each line of standard input, an answer on
// each line of standard output, all requests at once. The kubeconfig is the one of the environment, as for calicoctl.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/apiconfig"
	"github.com/projectcalico/calico/libcalico-go/lib/clientv3"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	cnet "github.com/projectcalico/calico/libcalico-go/lib/net"
	"github.com/sirupsen/logrus"
)

// request is one call of the IPAM client; which fields count depends on Op.
type request struct {
	ID        int               `json:"id"`
	Op        string            `json:"op"`
	Node      string            `json:"node"`
	Handle    string            `json:"handle"`
	Attrs     map[string]string `json:"attrs"`
	Num4      int               `json:"num4"`
	Num6      int               `json:"num6"`
	Pools4    []string          `json:"pools4"`
	Pools6    []string          `json:"pools6"`
	MaxBlocks int               `json:"maxBlocks"`
	Use       string            `json:"use"`
	IP        string            `json:"ip"`
	Sequence  *uint64           `json:"sequence"`
	CIDR      string            `json:"cidr"`
	Empty     bool              `json:"empty"`
	Strict    bool              `json:"strict"`
}

type answer struct {
	ID     int               `json:"id"`
	Error  string            `json:"error,omitempty"`
	IPs    []string          `json:"ips,omitempty"`
	Attrs  map[string]string `json:"attrs,omitempty"`
	Handle string            `json:"handle,omitempty"`
}

func networks(cidrs []string) ([]cnet.IPNet, error) {
	var parsed []cnet.IPNet
	for _, cidr := range cidrs {
		_, network, err := cnet.ParseCIDR(cidr)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, *network)
	}
	return parsed, nil
}

// One at a time on a node, as with the lock that Calico's CNI plugin takes on its host.
var nodes sync.Map

func (r request) autoAssign(ctx context.Context, client ipam.Interface) ([]string, error) {
	pools4, err := networks(r.Pools4)
	if err != nil {
		return nil, err
	}
	pools6, err := networks(r.Pools6)
	if err != nil {
		return nil, err
	}
	use := v3.IPPoolAllowedUseWorkload
	if r.Use != "" {
		use = v3.IPPoolAllowedUse(r.Use)
	}
	lock, _ := nodes.LoadOrStore(r.Node, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	four, six, err := client.AutoAssign(ctx, ipam.AutoAssignArgs{
		Num4: r.Num4, Num6: r.Num6, HandleID: &r.Handle, Attrs: r.Attrs, Hostname: r.Node,
		IPv4Pools: pools4, IPv6Pools: pools6, MaxBlocksPerHost: r.MaxBlocks, IntendedUse: use,
	})
	var ips []string
	for _, given := range []*ipam.IPAMAssignments{four, six} {
		if given == nil {
			continue
		}
		for _, network := range given.IPs {
			ips = append(ips, network.IP.String())
		}
	}
	return ips, err
}

func (r request) run(ctx context.Context, client ipam.Interface) (answer, error) {
	var reply answer
	var err error
	switch r.Op {
	case "autoAssign":
		reply.IPs, err = r.autoAssign(ctx, client)
	case "assignIP":
		err = client.AssignIP(ctx, ipam.AssignIPArgs{IP: cnet.MustParseIP(r.IP), HandleID: &r.Handle, Attrs: r.Attrs, Hostname: r.Node})
	case "releaseByHandle":
		err = client.ReleaseByHandle(ctx, r.Handle)
	case "releaseIP":
		var missing []cnet.IP
		missing, err = client.ReleaseIPs(ctx, ipam.ReleaseOptions{Address: r.IP, Handle: r.Handle, SequenceNumber: r.Sequence})
		for _, ip := range missing {
			reply.IPs = append(reply.IPs, ip.String())
		}
	case "ipsByHandle":
		var ips []cnet.IP
		ips, err = client.IPsByHandle(ctx, r.Handle)
		for _, ip := range ips {
			reply.IPs = append(reply.IPs, ip.String())
		}
	case "attributes":
		var handle *string
		reply.Attrs, handle, err = client.GetAssignmentAttributes(ctx, cnet.MustParseIP(r.IP))
		if handle != nil {
			reply.Handle = *handle
		}
	case "claimAffinity", "releaseAffinity":
		var cidrs []cnet.IPNet
		if cidrs, err = networks([]string{r.CIDR}); err != nil {
			break
		}
		if r.Op == "releaseAffinity" {
			err = client.ReleaseAffinity(ctx, cidrs[0], r.Node, r.Empty)
			break
		}
		var claimed []cnet.IPNet
		claimed, _, err = client.ClaimAffinity(ctx, cidrs[0], r.Node)
		for _, network := range claimed {
			reply.IPs = append(reply.IPs, network.String())
		}
	case "releaseHostAffinities":
		err = client.ReleaseHostAffinities(ctx, r.Node, r.Empty)
	case "removeHost":
		err = client.RemoveIPAMHost(ctx, r.Node)
	case "setConfig":
		err = client.SetIPAMConfig(ctx, ipam.IPAMConfig{StrictAffinity: r.Strict, AutoAllocateBlocks: true, MaxBlocksPerHost: r.MaxBlocks})
	default:
		err = fmt.Errorf("unknown operation %q", r.Op)
	}
	return reply, err
}

func main() {
	logrus.SetOutput(os.Stderr)
	// Its retries are errors to it.
	logrus.SetLevel(logrus.FatalLevel)
	config, err := apiconfig.LoadClientConfigFromEnvironment()
	if err != nil {
		logrus.Fatal(err)
	}
	config.Spec.K8sClientQPS = 10000
	client, err := clientv3.New(*config)
	if err != nil {
		logrus.Fatal(err)
	}
	var running sync.WaitGroup
	var writing sync.Mutex
	output := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			logrus.Fatal(err)
		}
		running.Add(1)
		go func() {
			defer running.Done()
			reply, err := asked.run(context.Background(), client.IPAM())
			reply.ID = asked.ID
			if err != nil {
				reply.Error = err.Error()
			}
			writing.Lock()
			defer writing.Unlock()
			if err := output.Encode(reply); err != nil {
				logrus.Fatal(err)
			}
		}()
	}
	running.Wait()
}
