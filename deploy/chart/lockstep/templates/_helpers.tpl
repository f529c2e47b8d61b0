{{- define "lockstep.name" -}}
{{ if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "lockstep.account" -}}
{{ .Values.serviceAccount.name | default (include "lockstep.name" .) }}
{{- end }}

{{- define "lockstep.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lockstep.labels" -}}
{{ include "lockstep.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: lockstep
{{- end }}

{{- define "lockstep.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "lockstep.url" -}}
{{- $scheme := ternary "https" "http" (ne .Values.tls.secretName "") -}}
{{- if eq .Values.layout "sidecar" -}}
{{ $scheme }}://127.0.0.1:8888/extender
{{- else -}}
{{ $scheme }}://{{ include "lockstep.name" . }}.{{ .Release.Namespace }}.svc:8888/extender
{{- end -}}
{{- end }}

{{/* Lockstep's configuration file: what the values imply, with `config` over it. */}}
{{- define "lockstep.config" -}}
{{- $any := ternary "0.0.0.0" "127.0.0.1" .Values.api.expose -}}
{{- $service := dict
  "address" (ternary "127.0.0.1" "0.0.0.0" (eq .Values.layout "sidecar"))
  "port" 8888
  "metrics" "0.0.0.0:9090"
  "api" (printf "%s:8890" $any)
  "grpc" (printf "%s:8891" $any)
  "auth" .Values.auth
  "tell" .Values.tell
  "httpTimeout" (printf "%ds" (int .Values.scheduler.httpTimeoutSeconds))
-}}
{{- if .Values.tls.secretName -}}
{{- $tls := dict "certFile" "/etc/lockstep/tls/tls.crt" "keyFile" "/etc/lockstep/tls/tls.key"
  "clientCAFile" "/etc/lockstep/tls/ca.crt" "clientNames" .Values.tls.clientNames -}}
{{- $_ := set $service "tls" $tls -}}
{{- end -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- $sidecar := eq .Values.layout "sidecar" -}}
{{- $_ := set $service "leadership" (dict
  "name" (ternary (printf "%s-scheduler" (include "lockstep.name" .)) (include "lockstep.name" .) $sidecar)
  "namespace" .Release.Namespace "follow" $sidecar) -}}
{{- end -}}
{{- $implied := dict "apiVersion" "lockstep.scheduling/v1alpha1" "kind" "LockstepConfiguration" "service" $service -}}
{{- if not .Values.readConfigMaps -}}
{{- $_ := set $implied "workloads" (dict "configMaps" false) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $implied (deepCopy .Values.config)) -}}
{{- end }}

{{- define "lockstep.schedulerConfig" -}}
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  qps: 5000    # the defaults, 50 and 100, throttle a gang's binds
  burst: 5000
leaderElection:
{{- if and (eq .Values.layout "sidecar") (gt (int .Values.replicas) 1) }}
  leaderElect: true
  resourceName: {{ include "lockstep.name" . }}-scheduler
  resourceNamespace: {{ .Release.Namespace }}
  leaseDuration: 15s
  renewDeadline: 10s
  retryPeriod: 2s
{{- else }}
  leaderElect: false
{{- end }}
percentageOfNodesToScore: 100    # else Lockstep sees about 500 of 5,000 nodes, and rarely the planned one
podInitialBackoffSeconds: 1
podMaxBackoffSeconds: 3
profiles:
- schedulerName: {{ .Values.scheduler.name }}
extenders:
- urlPrefix: {{ include "lockstep.url" . }}
  filterVerb: filter
  prioritizeVerb: prioritize
  bindVerb: bind
  preemptVerb: preempt
  weight: 5
  nodeCacheCapable: true
  ignorable: false
  httpTimeout: {{ int .Values.scheduler.httpTimeoutSeconds }}s
{{- if .Values.tls.secretName }}
  enableHTTPS: true
  tlsConfig:
{{- if eq .Values.layout "sidecar" }}
    serverName: localhost
{{- end }}
    certFile: /etc/lockstep/client/tls.crt
    keyFile: /etc/lockstep/client/tls.key
    caFile: /etc/lockstep/client/ca.crt
{{- end }}
  managedResources:
{{- range .Values.scheduler.gpuResources }}
  - name: {{ . }}
    ignoredByScheduler: false
{{- end }}
  - name: lockstep.scheduling/gang
    ignoredByScheduler: true
{{- end }}

{{- define "lockstep.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A pod is a gang member when it says so, or belongs to a LeaderWorkerSet. */}}
{{- define "lockstep.members" -}}
- name: gang-member
  expression: >-
    (has(object.metadata.annotations) && 'lockstep.scheduling/gang' in object.metadata.annotations)
    || (has(object.metadata.labels)
        && ['leaderworkerset.sigs.k8s.io/name', 'jobset.sigs.k8s.io/jobset-name',
            'training.kubeflow.org/job-name', 'ray.io/cluster'].exists(key, key in object.metadata.labels))
- name: not-an-upstream-gang
  expression: "!has(object.spec.schedulingGroup)"
- name: without-node
  expression: "!has(object.spec.nodeName) || object.spec.nodeName == ''"
{{- end }}

{{- define "lockstep.pods" -}}
resourceRules:
- {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
{{- with .Values.gate.namespaceSelector }}
namespaceSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
