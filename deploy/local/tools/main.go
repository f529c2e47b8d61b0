// Checks what is shipped with the parsers of those who will read it: Helm's for the chart,
// Prometheus's for rules and queries, kustomize's for the base, Grafana's types for the dashboard. The first argument picks the tool; each reads its
// input from standard input or from a folder and answers in JSON.
package main

import (
	"fmt"
	"os"
)

func main() {
	tools := map[string]func([]string) error{
		"lint":      lintTool,
		"template":  templateTool,
		"rules":     rulesTool,
		"evaluate":  evaluateTool,
		"kustomize": kustomizeTool,
		"dashboard": dashboardTool,
	}
	if len(os.Args) < 2 || tools[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: tools lint|template|rules|evaluate|kustomize|dashboard ...")
		os.Exit(2)
	}
	if err := tools[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
