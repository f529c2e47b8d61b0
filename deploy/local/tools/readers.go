package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// kustomizeTool prints what `kubectl kustomize FOLDER` prints.
func kustomizeTool(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: tools kustomize FOLDER")
	}
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), arguments[0])
	if err != nil {
		return err
	}
	text, err := made.AsYaml()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

// dashboardTool reads a dashboard on standard input as Grafana's own types do, and refuses what they
// do not know.
func dashboardTool([]string) error {
	content, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var read dashboard.Dashboard
	if err := read.UnmarshalJSONStrict(content); fault(err) {
		return err
	}
	if err := read.Validate(); fault(err) {
		return err
	}
	return nil
}

// fault tells whether an answer of Grafana's types is one: a list of no errors is not nil either.
func fault(err error) bool {
	var faults cog.BuildErrors
	return err != nil && !(errors.As(err, &faults) && len(faults) == 0)
}
