package main

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	leaderworkersetv1 "sigs.k8s.io/lws/api/leaderworkerset/v1"
	"sigs.k8s.io/lws/pkg/controllers"
	"sigs.k8s.io/lws/pkg/schedulerprovider"
	"sigs.k8s.io/lws/pkg/webhooks"
	volcanov1beta1 "volcano.sh/apis/pkg/apis/scheduling/v1beta1"
)

var leaderWorkerSet = program{
	schemes: []func(*runtime.Scheme) error{leaderworkersetv1.AddToScheme, volcanov1beta1.AddToScheme},
	setUp:   setUpLeaderWorkerSet,
}

func setUpLeaderWorkerSet(_ context.Context, manager ctrl.Manager, given options) error {
	if err := controllers.SetupIndexes(manager.GetFieldIndexer()); err != nil {
		return err
	}
	client, scheme := manager.GetClient(), manager.GetScheme()
	events := manager.GetEventRecorderFor("leaderworkerset")
	if err := controllers.NewLeaderWorkerSetReconciler(client, scheme, events).SetupWithManager(manager); err != nil {
		return err
	}
	var provider schedulerprovider.SchedulerProvider
	if given.volcano {
		var err error
		if provider, err = schedulerprovider.NewSchedulerProvider(schedulerprovider.Volcano, client); err != nil {
			return err
		}
	}
	if err := controllers.NewPodReconciler(client, scheme, events, provider).SetupWithManager(manager); err != nil {
		return err
	}
	if err := webhooks.SetupLeaderWorkerSetWebhook(manager); err != nil {
		return err
	}
	return webhooks.NewPodWebhook(provider).Setup(manager)
}
