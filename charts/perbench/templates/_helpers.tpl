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

{{/* What the operator may do with the API: all of it. docs/install.md has the table. */}}
{{- define "perbench.rules" -}}
- apiGroups: [perbench.dev]
  resources: [perbenchmarks]
  verbs: [list, watch]
{{- end -}}
