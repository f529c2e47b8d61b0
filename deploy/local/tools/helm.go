package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// A finding of `helm lint`, as it prints it.
type finding struct {
	Severity string `json:"severity"`
	Path     string `json:"path"`
	Message  string `json:"message"`
}

// lint CHART VALUES NAMESPACE KUBERNETES: what `helm lint --strict` would say.
func lintChart(folder string, values map[string]any, namespace, kubernetes string) ([]finding, error) {
	version, err := chartutil.ParseKubeVersion(kubernetes)
	if err != nil {
		return nil, err
	}
	names := map[int]string{
		support.InfoSev: "info", support.WarningSev: "warning", support.ErrorSev: "error",
	}
	linted := lint.AllWithKubeVersion(folder, values, namespace, version)
	found := []finding{}
	for _, one := range linted.Messages {
		found = append(found, finding{names[one.Severity], one.Path, one.Err.Error()})
	}
	return found, nil
}

// renderChart gives the objects in the order of their files, as `helm template` does.
func renderChart(folder string, values map[string]any, namespace, kubernetes string) (string, error) {
	version, err := chartutil.ParseKubeVersion(kubernetes)
	if err != nil {
		return "", err
	}
	chart, err := loader.Load(folder)
	if err != nil {
		return "", err
	}
	if err := chartutil.ProcessDependencies(chart, values); err != nil {
		return "", err
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	options := chartutil.ReleaseOptions{
		Name: "lockstep", Namespace: namespace, Revision: 1, IsInstall: true,
	}
	// Refuses values that the chart's schema does not allow.
	merged, err := chartutil.ToRenderValues(chart, values, options, capabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(chart, merged)
	if err != nil {
		return "", err
	}
	return joined(files), nil
}

func joined(files map[string]string) string {
	names := []string{}
	for name := range files {
		if !strings.HasSuffix(name, "NOTES.txt") && strings.TrimSpace(files[name]) != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	parts := []string{}
	for _, name := range names {
		parts = append(parts, "# Source: "+name+"\n"+strings.TrimSpace(files[name])+"\n")
	}
	return strings.Join(parts, "---\n")
}

// asked reads what lint and template have in common: a chart's folder, a namespace and a
// version of Kubernetes as arguments, values as JSON on standard input.
func asked(arguments []string) (string, string, string, map[string]any, error) {
	if len(arguments) != 3 {
		return "", "", "", nil, fmt.Errorf("expected CHART NAMESPACE KUBERNETES, got %q", arguments)
	}
	values := map[string]any{}
	err := json.NewDecoder(os.Stdin).Decode(&values)
	return arguments[0], arguments[1], arguments[2], values, err
}

func lintTool(arguments []string) error {
	folder, namespace, kubernetes, values, err := asked(arguments)
	if err != nil {
		return err
	}
	found, err := lintChart(folder, values, namespace, kubernetes)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func templateTool(arguments []string) error {
	folder, namespace, kubernetes, values, err := asked(arguments)
	if err != nil {
		return err
	}
	rendered, err := renderChart(folder, values, namespace, kubernetes)
	if err != nil {
		return err
	}
	fmt.Print(rendered)
	return nil
}
