{{/* Refuses values that cannot work, with advice. */}}
{{- define "coder-suite.checks" -}}
{{- $v := .Values -}}
{{- if $v.postgres.url }}{{ fail "postgres.url: the chart takes no addresses with passwords; put them into a Secret and name it: kubectl create secret generic coder-postgres --from-literal=api-url=… --from-literal=relay-url=… --from-literal=owner-url=…, then postgres.existingSecret=coder-postgres" }}{{ end -}}
{{- if $v.nats.url }}{{ fail "nats.url: the chart takes no addresses with passwords; put them into a Secret and name it: kubectl create secret generic coder-nats --from-literal=api-url=… --from-literal=relay-url=…, then nats.existingSecret=coder-nats" }}{{ end -}}
{{- if $v.coder }}{{ fail "coder: that is the section of Coder's own chart; here it is accessUrl, postgres, nats and one section a service. See UPGRADING.md" }}{{ end -}}
{{- if not $v.trial.enabled -}}
  {{- if and (or $v.coderdApi.enabled (kindIs "invalid" $v.coderdApi.enabled)) (not $v.accessUrl) }}{{ fail "accessUrl is empty; set the URL under which people and agents reach the deployment, such as https://coder.example.com" }}{{ end -}}
{{- end -}}
{{- include "coder-suite.secretChecks" . -}}
{{- include "coder-suite.trialChecks" . -}}
{{- include "coder-suite.tlsChecks" . -}}
{{- range $key, $component := include "coder-suite.components" . | fromYaml -}}
  {{- $settings := include "coder-suite.settings" (dict "root" $ "key" $key) | fromYaml -}}
  {{- if $settings.enabled -}}
    {{- include "coder-suite.componentChecks" (dict "root" $ "key" $key "component" $component "settings" $settings) -}}
  {{- end -}}
{{- end -}}
{{- if and $v.podMonitor.enabled $v.serviceMonitor.enabled }}{{ fail "podMonitor.enabled and serviceMonitor.enabled: both would have every pod scraped twice; keep one" }}{{ end -}}
{{- if and $v.grpcRoute.enabled (not $v.grpcRoute.parentRefs) }}{{ fail "grpcRoute.parentRefs is empty; name the Gateway the route hangs on, such as [{name: gateway, namespace: gateways}]" }}{{ end -}}
{{- end }}

{{- define "coder-suite.secretChecks" -}}
{{- $v := .Values -}}
{{- $api := (include "coder-suite.settings" (dict "root" $ "key" "coderdApi") | fromYaml).enabled -}}
{{- $relay := (include "coder-suite.settings" (dict "root" $ "key" "pubsubRelay") | fromYaml).enabled -}}
{{- $scheduler := (include "coder-suite.settings" (dict "root" $ "key" "autostartScheduler") | fromYaml).enabled -}}
{{- $provisioner := (include "coder-suite.settings" (dict "root" $ "key" "provisionerd") | fromYaml).enabled -}}
{{- if not $v.trial.enabled -}}
  {{- if and (or $api $relay) (not $v.postgres.existingSecret) }}{{ fail "postgres.existingSecret is empty; name a Secret with the addresses of your PostgreSQL under api-url, relay-url and owner-url, or install with values-trial.yaml for a first try" }}{{ end -}}
  {{- if and (or $api $relay) (not $v.nats.existingSecret) }}{{ fail "nats.existingSecret is empty; name a Secret with the addresses of your NATS under api-url and relay-url, or install with values-trial.yaml for a first try" }}{{ end -}}
  {{- if and (or $api $scheduler) (not $v.secrets.existingSecret) }}{{ fail "secrets.existingSecret is empty; name a Secret with keyring and service-token: `coderd-api new-key` and `coderd-api new-service-token` print one each" }}{{ end -}}
{{- end -}}
{{- if and $provisioner (not $v.provisionerKey.existingSecret) }}{{ fail "provisionerKey.existingSecret is empty; name the Secret that will hold the key of `coderctl provisioners keys create` (it may come after the install: the pods wait for it), or set provisionerd.enabled=false" }}{{ end -}}
{{- if and (not $api) (or $scheduler $provisioner) (not $v.api.address) }}{{ fail "api.address is empty and coderdApi.enabled is false; name the coderd-api to work for, as host:port" }}{{ end -}}
{{- end }}

{{- define "coder-suite.trialChecks" -}}
{{- $v := .Values -}}
{{- if $v.trial.enabled -}}
  {{- if lt (len $v.trial.password) 16 }}{{ fail "trial.password: give at least 16 characters, as with --set trial.password=$(openssl rand -hex 16), and keep them for upgrades" }}{{ end -}}
  {{- if or $v.postgres.existingSecret $v.nats.existingSecret $v.secrets.existingSecret }}{{ fail "trial.enabled comes with its own Secrets; leave postgres.existingSecret, nats.existingSecret and secrets.existingSecret empty, or switch the trial off" }}{{ end -}}
  {{- if ne $v.migrations.mode "init" }}{{ fail (printf "migrations.mode=%s: the trial's PostgreSQL starts with the release, so a Job could wait for it for ever; use init" $v.migrations.mode) }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "coder-suite.tlsChecks" -}}
{{- $tls := .Values.tls -}}
{{- if and (not $tls.enabled) (or $tls.mutual $tls.certManager.enabled $tls.serverSecret) }}{{ fail "tls.enabled is false, but tls.mutual, tls.certManager or tls.serverSecret is set; switch tls.enabled on" }}{{ end -}}
{{- if $tls.enabled -}}
  {{- if and (not $tls.certManager.enabled) (not $tls.serverSecret) }}{{ fail "tls.enabled without a certificate; set tls.serverSecret to a Secret with tls.crt, tls.key and ca.crt, or tls.certManager.enabled" }}{{ end -}}
  {{- if and $tls.certManager.enabled (or $tls.serverSecret $tls.provisionerdSecret $tls.autostartSchedulerSecret) }}{{ fail "tls.certManager.enabled makes the Secrets; leave tls.serverSecret, tls.provisionerdSecret and tls.autostartSchedulerSecret empty" }}{{ end -}}
  {{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) }}{{ fail "tls.certManager.issuerRef.name is empty; name the Issuer, such as {name: internal-ca, kind: ClusterIssuer}" }}{{ end -}}
  {{- if and $tls.mutual (not $tls.certManager.enabled) (not (and $tls.provisionerdSecret $tls.autostartSchedulerSecret)) }}{{ fail "tls.mutual: the clients need certificates; set tls.provisionerdSecret and tls.autostartSchedulerSecret, or tls.certManager.enabled" }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "coder-suite.componentChecks" -}}
{{- $grace := include "coder-suite.grace" . | int -}}
{{- $least := add (int .settings.drainTimeoutSeconds) 5 | int -}}
{{- if le $grace $least }}{{ fail (printf "%s.terminationGracePeriodSeconds is %d: the kubelet would kill %s while it drains; set more than %d (drainTimeoutSeconds and 5 s to stop), or null" .key $grace .component $least) }}{{ end -}}
{{- if eq .key "coderdApi" -}}
  {{- if ge (int .settings.drainDelaySeconds) (int .settings.drainTimeoutSeconds) }}{{ fail (printf "coderdApi.drainDelaySeconds is %d and drainTimeoutSeconds %d: nothing of the drain would be left for calls in hand; keep the delay smaller" (int .settings.drainDelaySeconds) (int .settings.drainTimeoutSeconds)) }}{{ end -}}
{{- end -}}
{{- if eq .key "provisionerd" -}}
  {{- if .settings.keda.enabled -}}
    {{- if .settings.autoscaling.enabled }}{{ fail "provisionerd.keda.enabled and provisionerd.autoscaling.enabled: two would set the number of pods; keep one" }}{{ end -}}
    {{- if not .settings.keda.prometheusAddress }}{{ fail "provisionerd.keda.prometheusAddress is empty; name the Prometheus that scrapes coderd-api, such as http://prometheus-operated.monitoring:9090" }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- if .settings.autoscaling.enabled -}}
  {{- if gt (int .settings.autoscaling.minReplicas) (int .settings.autoscaling.maxReplicas) }}{{ fail (printf "%s.autoscaling.minReplicas is above maxReplicas" .key) }}{{ end -}}
{{- end -}}
{{- $own := list "config" "grpc-listen" "grpc-port-file" "grpc-tls-certificate" "grpc-tls-key" "grpc-tls-client-ca" "admin-listen" "admin-port-file" "drain-timeout" "drain-delay" "access-url" "experiments" "api-address" "api-plaintext" "api-ca" "api-certificate" "api-key" "work-dir" "engine-config" "postgres-url" "postgres-url-file" "migrate-url" "migrate-url-file" "nats-url" "nats-url-file" "keyring" "keyring-file" "service-token" "service-token-file" "provisioner-key" "provisioner-key-file" "once" -}}
{{- range $name, $value := .settings.options -}}
  {{- if has $name $own }}{{ fail (printf "%s.options.%s: the chart sets this option itself, from values or Secrets; see README.md for which" $.key $name) }}{{ end -}}
{{- end -}}
{{- end }}
