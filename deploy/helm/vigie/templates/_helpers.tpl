{{- define "vigie.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "vigie.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "vigie.name" .) .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "vigie.name" .) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "vigie.selector" -}}
app.kubernetes.io/name: {{ include "vigie.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vigie.labels" -}}
{{ include "vigie.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "vigie.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "vigie.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "vigie.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- /* Partitions of the topics keyed by entity: the settings' own default where nothing is said. */ -}}
{{- define "vigie.partitions" -}}
{{ int (((.Values.config).kafka).partitions | default 8) }}
{{- end }}

{{- /* The deployments there are, with commas. Nobody predicts where models.live is false. */ -}}
{{- define "vigie.components" -}}
{{- if eq .Values.mode "single" -}}
single
{{- else -}}
fold,serve,{{ if ne (toString (dig "models" "live" true .Values.config)) "false" }}predict,{{ end }}web
{{- end -}}
{{- end }}

{{- /* What cannot be seen by the schema, said before anything is installed. */ -}}
{{- define "vigie.check" -}}
{{- if eq .Values.mode "roles" -}}
{{- if and (not .Values.configSecret.name) (not ((.Values.config).kafka).brokers) -}}
{{- fail "mode: roles needs a Kafka: set config.kafka.brokers (host:9092), or mode: single" -}}
{{- end -}}
{{- $partitions := int (include "vigie.partitions" .) -}}
{{- $most := ternary .Values.autoscaling.maxReplicas .Values.fold.replicas .Values.autoscaling.enabled | int -}}
{{- if and (not .Values.configSecret.name) (gt $most $partitions) -}}
{{- fail (printf "%d pods would fold %d partitions (config.kafka.partitions), and some would have nothing to do: set %s to at most %d" $most $partitions (ternary "autoscaling.maxReplicas" "fold.replicas" .Values.autoscaling.enabled) $partitions) -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- fail "autoscaling.maxReplicas is below autoscaling.minReplicas" -}}
{{- end -}}
{{- else if ((.Values.config).kafka).brokers -}}
{{- if ne .Values.config.kafka.brokers "embedded" -}}
{{- fail "config.kafka.brokers names a Kafka: set mode: roles, or leave it out" -}}
{{- end -}}
{{- else if .Values.autoscaling.enabled -}}
{{- fail "autoscaling.enabled: mode: single is one pod; set mode: roles" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host: needed where ingress.enabled" -}}
{{- end -}}
{{- end }}

{{- /* The settings file: what `config` says, and the folders of rules and KPIs that the chart mounts. */ -}}
{{- define "vigie.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.rules -}}
{{- $_ := set $config "rule_folders" (concat (get $config "rule_folders" | default list) (list "/etc/vigie/rules")) -}}
{{- end -}}
{{- if .Values.kpis -}}
{{- $files := list -}}
{{- range $name := keys .Values.kpis | sortAlpha -}}{{- $files = append $files (printf "/etc/vigie/kpis/%s" $name) -}}{{- end -}}
{{- $_ := set $config "kpi_files" (concat (get $config "kpi_files" | default list) $files) -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}

{{- /* A list of secrets, the token for /metrics among them. */ -}}
{{- define "vigie.secrets" -}}
{{- $all := .Values.secrets -}}
{{- if .Values.metricsToken.name -}}
{{- $all = append $all (dict "setting" "web.metrics_token" "name" .Values.metricsToken.name "key" .Values.metricsToken.key) -}}
{{- end -}}
{{ dict "secrets" $all | toJson }}
{{- end }}

{{- define "vigie.secretEnv" -}}
{{- range . }}
- name: VIGIE_{{ .setting | upper | replace "." "__" }}_FILE
  value: /run/secrets/vigie/{{ .setting }}
{{- end }}
{{- end }}

{{- define "vigie.secretVolume" -}}
- name: secrets
  projected:
    sources:
      {{- range . }}
      - secret: {name: {{ .name | quote }}, items: [{key: {{ .key | quote }}, path: {{ .setting | quote }}}]}
      {{- end }}
{{- end }}

{{- define "vigie.container" -}}
image: {{ include "vigie.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end }}

{{- define "vigie.environment" -}}
- {name: VIGIE_CONFIG, value: /etc/vigie/vigie.yaml}
- {name: VIGIE_WEB__HOST, value: 0.0.0.0}
- {name: VIGIE_WEB__PORT, value: "8080"}
# A folder in the volume: the volume itself is not this user's alone.
- {name: VIGIE_DATA_DIR, value: /var/lib/vigie/data}
{{- if and .Values.ingress.enabled (not (((.Values.config).web).public_url)) }}
- {name: VIGIE_WEB__PUBLIC_URL, value: "{{ ternary "https" "http" (ne .Values.ingress.tls.secretName "") }}://{{ .Values.ingress.host }}"}
{{- end }}
{{- end }}
