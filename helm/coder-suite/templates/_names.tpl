{{/* The chart's name for labels. */}}
{{- define "coder-suite.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* The release's prefix for names; short enough for every suffix. */}}
{{- define "coder-suite.fullname" -}}
{{- $name := include "coder-suite.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "coder-suite.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end }}

{{/* The four workloads: key in the values -> name of binary, image and component. */}}
{{- define "coder-suite.components" -}}
coderdApi: coderd-api
provisionerd: provisionerd
pubsubRelay: pubsub-relay
autostartScheduler: autostart-scheduler
{{- end }}

{{/* What selects the pods of a component: (dict "root" $ "component" "coderd-api"). */}}
{{- define "coder-suite.selector" -}}
app.kubernetes.io/name: {{ include "coder-suite.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* The labels of an object: (dict "root" $ "component" "coderd-api"); no component for what belongs to all. */}}
{{- define "coder-suite.labels" -}}
{{ include "coder-suite.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: coder-suite
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The metadata of an object: (dict "root" $ "component" … "name" "suffix" "annotations" …). */}}
{{- define "coder-suite.metadata" -}}
name: {{ include "coder-suite.fullname" .root }}{{ with .name }}-{{ . }}{{ end }}
namespace: {{ default (include "coder-suite.namespace" .root) .namespace }}
labels:
  {{- include "coder-suite.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A component's settings, defaults and its own section merged: (dict "root" $ "key" "coderdApi"). YAML. */}}
{{- define "coder-suite.settings" -}}
{{- $settings := deepCopy .root.Values.defaults -}}
{{- range $key, $value := index .root.Values .key -}}
  {{- $default := get $settings $key -}}
  {{- if and (kindIs "map" $value) (kindIs "map" $default) -}}
    {{- range $name, $item := $value }}{{ $_ := set $default $name $item }}{{ end -}}
  {{- else -}}
    {{- $_ := set $settings $key $value -}}
  {{- end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end }}

{{/* Whether there can be more than one pod: (dict "key" … "settings" …, "root" $). "yes" or nothing. */}}
{{- define "coder-suite.scaled" -}}
{{- if .settings.autoscaling.enabled }}yes{{ end -}}
{{- if and (eq .key "provisionerd") .root.Values.provisionerd.keda.enabled }}yes{{ end -}}
{{- end }}

{{/* The pod's grace: (dict "settings" …). Drain, 5 s in which the process stops, 10 s to spare. */}}
{{- define "coder-suite.grace" -}}
{{- if kindIs "invalid" .settings.terminationGracePeriodSeconds -}}
{{- add (int .settings.drainTimeoutSeconds) 15 -}}
{{- else -}}
{{- int .settings.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end }}

{{- define "coder-suite.image" -}}
{{- $repository := printf "%s/%s" (trimSuffix "/" .root.Values.image.registry) (default .component .settings.image.repository) | trimPrefix "/" -}}
{{- if .settings.image.digest -}}
{{- printf "%s@%s" $repository .settings.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (coalesce .settings.image.tag .root.Values.image.tag .root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{- define "coder-suite.serviceAccount" -}}
{{- if .settings.serviceAccount.name -}}
{{- .settings.serviceAccount.name -}}
{{- else if .settings.serviceAccount.create -}}
{{- include "coder-suite.fullname" .root }}-{{ .component -}}
{{- else -}}
default
{{- end -}}
{{- end }}

{{/* The host of accessUrl, without scheme and port. */}}
{{- define "coder-suite.accessHost" -}}
{{- regexReplaceAll ":[0-9]+$" (urlParse .Values.accessUrl).host "" -}}
{{- end }}

{{/* What the clients of coderd-api dial. */}}
{{- define "coder-suite.apiAddress" -}}
{{- default (printf "dns:///%s-coderd-api-headless.%s.svc:7080" (include "coder-suite.fullname" .) (include "coder-suite.namespace" .)) .Values.api.address -}}
{{- end }}

{{/* Names of Secrets: of the values, of the trial, or of cert-manager. */}}
{{- define "coder-suite.trialName" -}}
{{- include "coder-suite.fullname" . }}-trial
{{- end }}
{{- define "coder-suite.postgresSecret" -}}
{{- if .Values.trial.enabled }}{{ include "coder-suite.trialName" . }}-postgres{{ else }}{{ .Values.postgres.existingSecret }}{{ end -}}
{{- end }}
{{- define "coder-suite.natsSecret" -}}
{{- if .Values.trial.enabled }}{{ include "coder-suite.trialName" . }}-nats{{ else }}{{ .Values.nats.existingSecret }}{{ end -}}
{{- end }}
{{- define "coder-suite.secretsSecret" -}}
{{- if .Values.trial.enabled }}{{ include "coder-suite.trialName" . }}-keys{{ else }}{{ .Values.secrets.existingSecret }}{{ end -}}
{{- end }}
{{- define "coder-suite.tlsSecret" -}}
{{- $given := dict "coderd-api" .root.Values.tls.serverSecret "provisionerd" .root.Values.tls.provisionerdSecret "autostart-scheduler" .root.Values.tls.autostartSchedulerSecret -}}
{{- default (printf "%s-%s-tls" (include "coder-suite.fullname" .root) .component) (get $given .component) -}}
{{- end }}
