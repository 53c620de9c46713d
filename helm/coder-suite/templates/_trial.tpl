{{/* nats-server's configuration: what each service may say and hear. (dict "api" password "relay" password). */}}
{{- define "coder-suite.trialNats" -}}
listen: "0.0.0.0:4222"
max_payload: 1048576
jetstream {
  store_dir: "/data"
  max_memory_store: 67108864
  max_file_store: 4294967296
}
authorization {
  users: [
    {
      user: coderd-api
      password: "{{ .api }}"
      permissions {
        publish: ["outbox.poke", "coderd.>", "$JS.API.INFO", "$JS.API.STREAM.INFO.BUILD_EVENTS", "$JS.API.CONSUMER.*.BUILD_EVENTS", "$JS.API.CONSUMER.*.BUILD_EVENTS.>", "$JS.ACK.BUILD_EVENTS.>", "$JS.FC.BUILD_EVENTS.>"]
        subscribe: ["coderd.>", "_INBOX.>"]
      }
    }
    {
      user: pubsub-relay
      password: "{{ .relay }}"
      permissions {
        publish: ["build.events", "$JS.API.INFO", "$JS.API.STREAM.*.BUILD_EVENTS", "$JS.API.STREAM.MSG.*.BUILD_EVENTS", "$JS.API.DIRECT.GET.BUILD_EVENTS", "$JS.API.DIRECT.GET.BUILD_EVENTS.>"]
        subscribe: ["outbox.poke", "_INBOX.>"]
      }
    }
  ]
}
{{- end }}

{{- define "coder-suite.trialPodSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "coder-suite.trialSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}
