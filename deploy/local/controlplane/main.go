// Command controlplane is etcd, kube-apiserver, kube-scheduler and
// kube-controller-manager in one binary: the first argument picks the program,
// the rest are that program's own flags. It exists so that the demo, the
// end-to-end tests and the benchmarks run against the real thing on loopback,
// with no cluster and no container runtime.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

var programs = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-controller-manager": manager.NewControllerManagerCommand,
	"etcd":                    newEtcdCommand,
}

func main() {
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: controlplane etcd|kube-apiserver|kube-scheduler|kube-controller-manager [flags]")
		os.Exit(2)
	}
	dieWithParent()
	program := programs[os.Args[1]]()
	os.Args = os.Args[1:]
	os.Exit(cli.Run(program))
}
