package main

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	jobsetv1alpha2 "sigs.k8s.io/jobset/api/jobset/v1alpha2"
	"sigs.k8s.io/jobset/pkg/controllers"
	"sigs.k8s.io/jobset/pkg/webhooks"
)

var jobSet = program{
	schemes: []func(*runtime.Scheme) error{jobsetv1alpha2.AddToScheme},
	setUp:   setUpJobSet,
}

func setUpJobSet(ctx context.Context, manager ctrl.Manager, _ options) error {
	if err := controllers.SetupJobSetIndexes(ctx, manager.GetFieldIndexer()); err != nil {
		return err
	}
	if err := controllers.SetupPodIndexes(ctx, manager.GetFieldIndexer()); err != nil {
		return err
	}
	client, scheme := manager.GetClient(), manager.GetScheme()
	sets := controllers.NewJobSetReconciler(client, scheme, manager.GetEventRecorderFor("jobset"))
	if err := sets.SetupWithManager(manager); err != nil {
		return err
	}
	pods := controllers.NewPodReconciler(client, scheme, manager.GetEventRecorderFor("pod"))
	if err := pods.SetupWithManager(manager); err != nil {
		return err
	}
	setHook, err := webhooks.NewJobSetWebhook(client)
	if err != nil {
		return err
	}
	if err := setHook.SetupWebhookWithManager(manager); err != nil {
		return err
	}
	return webhooks.NewPodWebhook(client).SetupWebhookWithManager(manager)
}
