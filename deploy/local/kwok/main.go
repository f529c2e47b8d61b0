// Command kwok is KWOK's controller for the local control plane: it gives bound
// pods a Running life, finishes their deletion and keeps nodes Ready, with no
// kubelet behind them. Unlike upstream's program it ends when its launcher ends.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/cmd"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/signals"
)

func main() {
	dieWithParent()
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "kwok: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	// --config is read before the command's own flags are known, hence two sets.
	shared := pflag.NewFlagSet("global", pflag.ContinueOnError)
	shared.ParseErrorsAllowlist.UnknownFlags = true
	shared.Usage = func() {}
	ctx, _ := log.InitFlags(signals.SetupSignalContext(), shared)
	ctx, err := config.InitFlags(ctx, shared)
	if err != nil {
		return err
	}
	command := cmd.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(shared)
	return command.ExecuteContext(ctx)
}
