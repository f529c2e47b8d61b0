// Command controllers runs the LeaderWorkerSet or the JobSet controller with
// its webhooks on loopback: the first argument picks one. It exists so that the
// lab and the end-to-end tests see the pods that these controllers really make.
package main

import (
	"flag"
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

var programs = map[string]program{
	"leaderworkerset": leaderWorkerSet,
	"jobset":          jobSet,
}

func main() {
	if len(os.Args) < 2 || programs[os.Args[1]].setUp == nil {
		fmt.Fprintln(os.Stderr, "usage: controllers leaderworkerset|jobset [flags]")
		os.Exit(2)
	}
	dieWithParent()
	ctrl.SetLogger(zap.New())
	chosen := programs[os.Args[1]]
	options := parse(os.Args[1], os.Args[2:])
	if err := run(chosen, options); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func parse(name string, arguments []string) options {
	var given options
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	flags.StringVar(&given.kubeconfig, "kubeconfig", "", "file that says how to reach the API server")
	flags.StringVar(&given.certDir, "cert-dir", "", "folder for the certificate of the webhooks, made here")
	flags.IntVar(&given.webhookPort, "webhook-port", 0, "loopback port that the webhooks are served on")
	flags.IntVar(&given.healthPort, "health-port", 0, "loopback port that /readyz is served on")
	flags.BoolVar(&given.volcano, "volcano", false, "let LeaderWorkerSet make a Volcano PodGroup for every group")
	_ = flags.Parse(arguments) // ExitOnError
	return given
}
