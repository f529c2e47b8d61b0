module lockstep/deploy/local/schemas

go 1.26.0

require (
	github.com/kubeflow/trainer/v2 v2.0.0
	github.com/kubeflow/training-operator v1.8.1
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
