{{/* Names in the release's namespace. */}}
{{- define "perbench.name" -}}
{{- if contains "perbench" .Release.Name -}}
{{- .Release.Name | trunc 54 | trimSuffix "-" -}}-operator
{{- else -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}-perbench-operator
{{- end -}}
{{- end -}}

{{/* Names outside namespaces carry release and namespace: no two releases have the same. RBAC allows ":". */}}
{{- define "perbench.clusterName" -}}
perbench:{{ .Release.Namespace }}:{{ .Release.Name }}
{{- end -}}

{{/* The same for kinds that allow dots only; a namespace has none, so the parts cannot be confused. */}}
{{- define "perbench.clusterDomain" -}}
{{ .Release.Name }}.{{ .Release.Namespace }}.perbench.dev
{{- end -}}

{{- define "perbench.selectorLabels" -}}
app.kubernetes.io/name: perbench
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "perbench.labels" -}}
{{ include "perbench.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* An image: takes a dict of root and image. */}}
{{- define "perbench.image" -}}
{{- $registry := required "set imageRegistry: the registry that holds the images of perbench (docs/install.md says how to build them)" .root.Values.imageRegistry -}}
{{- with .image -}}
{{ $registry }}/{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.root.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{/* What the operator may do in each namespace that it watches: all of it. docs/install.md has the table. */}}
{{- define "perbench.rules" -}}
- apiGroups: [perbench.dev]
  resources: [perbenchmarks]
  verbs: [get, list, watch]
- apiGroups: [perbench.dev]
  resources: [perbenchmarks/status]
  verbs: [patch]
# Model servers and bench pods are Jobs; of their pods it only reads, and deletes a bench pod that hangs.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# Plans, progress and results. A model's bench pods get `get` and `patch` on their own two, which nobody can
# hand out who does not hold it.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
# What is left of former runs is found by its labels.
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, create, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, create, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, create, delete]
# Whether a claim is there, and can be mounted by several pods.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get]
# It tells its story in events, and reads there why no pod could be created, or why one waits for a volume.
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [list, create, patch]
{{- if .Values.telemetry.podMetrics }}
# Not for itself: bench pods get it on the pods of their own model, which nobody can hand out who does not hold it.
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [get]
{{- end }}
{{- end -}}

{{/* Who reads the operator's metrics: "named", "nobody", or "anybody": somebody does, and it is not said who. */}}
{{- define "perbench.reader" -}}
{{- if .Values.networkPolicy.monitoring -}}
named
{{- else if or .Values.monitoring.serviceMonitor.enabled .Values.monitoring.prometheusRule.enabled -}}
anybody
{{- else -}}
nobody
{{- end -}}
{{- end -}}

{{/* Fails where the cluster does not know a kind of prometheus-operator: takes a dict of root, kind and value. */}}
{{- define "perbench.monitoringKind" -}}
{{- $needed := printf "monitoring.coreos.com/v1/%s" .kind -}}
{{- if not (.root.Capabilities.APIVersions.Has $needed) -}}
{{- fail (printf "monitoring.%s.enabled is true, and the cluster has no %s: install the CRDs of prometheus-operator first, or set it to false (helm template does not ask the cluster: give it --api-versions %s)" .value .kind $needed) -}}
{{- end -}}
{{- end -}}
