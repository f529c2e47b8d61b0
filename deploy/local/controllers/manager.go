package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
	ctrl "sigs.k8s.io/controller-runtime"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

const (
	loopback = "127.0.0.1"
	// Far more than any test asks for: the defaults would slow a gang of hundreds.
	queriesPerSecond = 500
)

type options struct {
	kubeconfig  string
	certDir     string
	webhookPort int
	healthPort  int
	volcano     bool
}

// program is one controller: its types, and what it adds to a manager.
type program struct {
	schemes []func(*runtime.Scheme) error
	setUp   func(ctx context.Context, manager ctrl.Manager, given options) error
}

func run(chosen program, given options) error {
	if err := writeCertificate(given.certDir); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	manager, err := newManager(chosen, given)
	if err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	if err := chosen.setUp(ctx, manager, given); err != nil {
		return err
	}
	// Ready means that the webhooks answer: what is created earlier would be refused.
	if err := manager.AddReadyzCheck("webhooks", manager.GetWebhookServer().StartedChecker()); err != nil {
		return err
	}
	return manager.Start(ctx)
}

func newManager(chosen program, given options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range append(chosen.schemes, clientgoscheme.AddToScheme) {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", given.kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = queriesPerSecond, queriesPerSecond
	return ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Metrics:                metrics.Options{BindAddress: "0"}, // none
		HealthProbeBindAddress: net.JoinHostPort(loopback, strconv.Itoa(given.healthPort)),
		WebhookServer: webhook.NewServer(webhook.Options{
			Host:    loopback,
			Port:    given.webhookPort,
			CertDir: given.certDir,
			TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
		}),
	})
}

// writeCertificate makes a new key and certificate for loopback. The file with
// the certificate ends in that of its authority, so it is what callers trust.
func writeCertificate(folder string) error {
	certificate, key, err := cert.GenerateSelfSignedCertKey(loopback, []net.IP{net.ParseIP(loopback)}, nil)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "tls.crt"), certificate, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "tls.key"), key, 0o600)
}
