{{/* An option's value as text: numbers without an exponent. */}}
{{- define "coder-suite.text" -}}
{{- if kindIs "float64" . }}{{ if eq . (floor .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{/* What a component's process is told: (dict "root" $ "key" … "component" … "settings" …). A YAML list. */}}
{{- define "coder-suite.args" -}}
{{- $v := .root.Values -}}
- --admin-listen={{ $v.listenHost }}:7090
- --drain-timeout={{ int .settings.drainTimeoutSeconds }}s
{{- if eq .component "coderd-api" }}
- --drain-delay={{ int .settings.drainDelaySeconds }}s
- --grpc-listen={{ $v.listenHost }}:7080
- --access-url={{ $v.accessUrl }}
- --experiments={{ join "," .settings.experiments }}
- --postgres-url-file=/etc/coder-suite/postgres/url
- --nats-url-file=/etc/coder-suite/nats/url
- --keyring-file=/etc/coder-suite/secrets/keyring
- --service-token-file=/etc/coder-suite/secrets/service-token
{{- if $v.tls.enabled }}
- --grpc-tls-certificate=/etc/coder-suite/tls/tls.crt
- --grpc-tls-key=/etc/coder-suite/tls/tls.key
{{- if $v.tls.mutual }}
- --grpc-tls-client-ca=/etc/coder-suite/tls/ca.crt
{{- end }}
{{- end }}
{{- else if eq .component "pubsub-relay" }}
- --postgres-url-file=/etc/coder-suite/postgres/url
- --nats-url-file=/etc/coder-suite/nats/url
{{- else if eq .component "provisionerd" }}
{{ include "coder-suite.clientArgs" .root }}
- --provisioner-key-file=/etc/coder-suite/secrets/provisioner-key
- --work-dir=/work/jobs
{{- if .settings.engineConfig }}
- --engine-config=/etc/coder-suite/engine/engine.tfrc
{{- end }}
{{- else if eq .component "autostart-scheduler" }}
{{ include "coder-suite.clientArgs" .root }}
- --service-token-file=/etc/coder-suite/secrets/service-token
{{- end }}
{{- range $name, $value := .settings.options }}
- {{ printf "--%s=%s" $name (include "coder-suite.text" $value) | quote }}
{{- end }}
{{- with .settings.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* How a client of coderd-api dials it. */}}
{{- define "coder-suite.clientArgs" -}}
- --api-address={{ include "coder-suite.apiAddress" . }}
{{- if .Values.tls.enabled }}
- --no-api-plaintext
- --api-ca=/etc/coder-suite/tls/ca.crt
{{- if .Values.tls.mutual }}
- --api-certificate=/etc/coder-suite/tls/tls.crt
- --api-key=/etc/coder-suite/tls/tls.key
{{- end }}
{{- else }}
- --api-plaintext
{{- end }}
{{- end }}

{{/* A volume with some keys of a Secret: (list name secret (dict key file …)). */}}
{{- define "coder-suite.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0440
    items:
      {{- range $key, $file := index . 2 }}
      - key: {{ $key }}
        path: {{ $file }}
      {{- end }}
{{- end }}

{{/* The chart's volumes of a component; what it may not know is not there. */}}
{{- define "coder-suite.volumes" -}}
{{- $v := .root.Values -}}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- if or (eq .component "coderd-api") (eq .component "pubsub-relay") }}
{{ include "coder-suite.secretVolume" (list "postgres" (include "coder-suite.postgresSecret" .root) (dict (ternary $v.postgres.apiKey $v.postgres.relayKey (eq .component "coderd-api")) "url")) }}
{{ include "coder-suite.secretVolume" (list "nats" (include "coder-suite.natsSecret" .root) (dict (ternary $v.nats.apiKey $v.nats.relayKey (eq .component "coderd-api")) "url")) }}
{{- end }}
{{- if has .component (list "coderd-api" "pubsub-relay" "migrate") }}
{{- with $v.postgres.caSecret }}
{{ include "coder-suite.secretVolume" (list "postgres-ca" . (dict "ca.crt" "ca.crt")) }}
{{- end }}
{{- end }}
{{- if or (eq .component "migrate") (and (eq .component "coderd-api") (eq $v.migrations.mode "init")) }}
{{ include "coder-suite.secretVolume" (list "owner" (include "coder-suite.postgresSecret" .root) (dict $v.postgres.ownerKey "url")) }}
{{- end }}
{{- if eq .component "coderd-api" }}
{{ include "coder-suite.secretVolume" (list "secrets" (include "coder-suite.secretsSecret" .root) (dict $v.secrets.keyringKey "keyring" $v.secrets.serviceTokenKey "service-token")) }}
{{- else if eq .component "autostart-scheduler" }}
{{ include "coder-suite.secretVolume" (list "secrets" (include "coder-suite.secretsSecret" .root) (dict $v.secrets.serviceTokenKey "service-token")) }}
{{- else if eq .component "provisionerd" }}
{{ include "coder-suite.secretVolume" (list "secrets" $v.provisionerKey.existingSecret (dict $v.provisionerKey.key "provisioner-key")) }}
- name: work
  emptyDir:
    sizeLimit: {{ .settings.workSizeLimit }}
{{- if .settings.engineConfig }}
- name: engine
  configMap:
    name: {{ include "coder-suite.fullname" .root }}-engine
{{- end }}
{{- end }}
{{- if and $v.tls.enabled (has .component (list "coderd-api" "provisionerd" "autostart-scheduler")) }}
{{- if or (eq .component "coderd-api") $v.tls.mutual }}
{{ include "coder-suite.secretVolume" (list "tls" (include "coder-suite.tlsSecret" .) (dict "tls.crt" "tls.crt" "tls.key" "tls.key" "ca.crt" "ca.crt")) }}
{{- else }}
{{ include "coder-suite.secretVolume" (list "tls" (include "coder-suite.tlsSecret" (dict "root" .root "component" "coderd-api")) (dict "ca.crt" "ca.crt")) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where the main container sees those volumes: all but the owner's address. */}}
{{- define "coder-suite.mounts" -}}
{{- range include "coder-suite.volumes" . | fromYamlArray }}
{{- if ne .name "owner" }}
- name: {{ .name }}
  mountPath: {{ has .name (list "tmp" "work") | ternary (printf "/%s" .name) (printf "/etc/coder-suite/%s" .name) }}
  {{- if not (has .name (list "tmp" "work")) }}
  readOnly: true
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The container's environment. */}}
{{- define "coder-suite.env" -}}
{{- if and .root.Values.postgres.caSecret (has .component (list "coderd-api" "pubsub-relay" "migrate")) }}
- name: PGSSLMODE
  value: verify-full
- name: PGSSLROOTCERT
  value: /etc/coder-suite/postgres-ca/ca.crt
{{- end }}
{{- with .settings.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What a container that migrates looks like. Its mounts are its own. */}}
{{- define "coder-suite.migrateContainer" -}}
- name: migrate
  image: {{ include "coder-suite.image" (merge (dict "component" "coderd-api") .) | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args:
    - migrate
    - --migrate-url-file=/etc/coder-suite/owner/url
  {{- with include "coder-suite.env" (merge (dict "component" "migrate") .) | trim }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .settings.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .settings.securityContext | nindent 4 }}
  resources:
    {{- toYaml .settings.resources | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    - name: owner
      mountPath: /etc/coder-suite/owner
      readOnly: true
    {{- if .root.Values.postgres.caSecret }}
    - name: postgres-ca
      mountPath: /etc/coder-suite/postgres-ca
      readOnly: true
    {{- end }}
    {{- with .settings.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* A probe of the admin port: (dict "custom" … "fields" … "path" …). */}}
{{- define "coder-suite.probe" -}}
{{- if .custom -}}
{{- toYaml .custom -}}
{{- else -}}
httpGet:
  path: {{ .path }}
  port: admin
{{ toYaml .fields }}
{{- end -}}
{{- end }}

{{/* The fields of a pod that have nothing to do with what runs in it. */}}
{{- define "coder-suite.podFields" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .settings.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .settings.podSecurityContext | nindent 2 }}
{{- end }}

{{/* Soft rules of placement where the values have none. */}}
{{- define "coder-suite.placement" -}}
affinity:
  {{- if .settings.affinity }}
  {{- toYaml .settings.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "coder-suite.selector" . | nindent 14 }}
  {{- end }}
topologySpreadConstraints:
  {{- if .settings.topologySpreadConstraints }}
  {{- toYaml .settings.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "coder-suite.selector" . | nindent 8 }}
  {{- end }}
{{- end }}
