{{- /* Names leave room for the longest suffix, so that what has a limit of 63 characters, or of 52 for a StatefulSet, stays below. */ -}}
{{- define "crossplane-exporter.fullname" -}}
{{- $name := .Values.fullnameOverride | default (contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name)) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* What never changes, because selectors cannot. The name is also the scrape job's, which the alerts select by. */ -}}
{{- define "crossplane-exporter.selectorLabels" -}}
app.kubernetes.io/name: crossplane-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "crossplane-exporter.labels" -}}
{{ include "crossplane-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: crossplane
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "crossplane-exporter.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "crossplane-exporter.fullname" .) "default") -}}
{{- end -}}

{{- define "crossplane-exporter.image" -}}
{{- with .Values.image -}}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* The workloads: one, or one a shard. As a JSON list of {name, shard}, because a template can only return text. */ -}}
{{- define "crossplane-exporter.workloads" -}}
{{- $fullname := include "crossplane-exporter.fullname" . -}}
{{- $workloads := list -}}
{{- $names := list -}}
{{- $readers := list -}}
{{- range .Values.shards -}}
{{- if has .name $names -}}{{- fail (printf "shards: two are called %s" .name) -}}{{- end -}}
{{- $names = append $names .name -}}
{{- if .cloudtrail -}}{{- $readers = append $readers .name -}}{{- end -}}
{{- $workloads = append $workloads (dict "name" (printf "%s-%s" $fullname .name) "shard" .) -}}
{{- end -}}
{{- if gt (len $readers) 1 -}}
{{- fail (printf "shards: %s all have cloudtrail: true, and would each count every call" (join ", " $readers)) -}}
{{- end -}}
{{- $workloads | default (list (dict "name" $fullname "shard" dict)) | toJson -}}
{{- end -}}

{{- /* The flags that say what is watched, which `check` takes too. Takes {root, shard}. */ -}}
{{- define "crossplane-exporter.clusterArgs" -}}
{{- $values := .root.Values -}}
{{- with $values.exporter.logLevel }}
- --log.level={{ . }}
{{- end }}
{{- with $values.exporter.logFormat }}
- --log.format={{ . }}
{{- end }}
{{- with $values.exporter.teamLabel }}
- {{ printf "--team-label=%s" . | quote }}
{{- end }}
{{- range concat $values.exporter.include (.shard.include | default list) }}
- {{ printf "--include=%s" . | quote }}
{{- end }}
{{- range concat $values.exporter.exclude (.shard.exclude | default list) }}
- {{ printf "--exclude=%s" . | quote }}
{{- end }}
{{- if and .shard.name (not .shard.cloudtrail) }}
- --cloudtrail.source=none
{{- else }}
{{- include "crossplane-exporter.trailArgs" $values.cloudtrail }}
{{- end }}
{{- end -}}

{{- define "crossplane-exporter.trailArgs" -}}
{{- if ne .source "auto" }}
- --cloudtrail.source={{ .source }}
{{- end }}
{{- range .regions }}
- {{ printf "--cloudtrail.region=%s" . | quote }}
{{- end }}
{{- range .roles }}
- {{ printf "--cloudtrail.role=%s" . | quote }}
{{- end }}
{{- with .externalID }}
- {{ printf "--cloudtrail.external-id=%s" . | quote }}
{{- end }}
{{- with .queue }}
- {{ printf "--cloudtrail.queue=%s" . | quote }}
{{- end }}
{{- with .bucket }}
- {{ printf "--cloudtrail.bucket=%s" . | quote }}
{{- end }}
{{- with .path }}
- {{ printf "--cloudtrail.path=%s" . | quote }}
{{- end }}
{{- with .rate }}
- --cloudtrail.rate={{ . }}
{{- end }}
{{- range .providerRoles }}
- {{ printf "--cloudtrail.provider-role=%s" . | quote }}
{{- end }}
{{- range .providerAgents }}
- {{ printf "--cloudtrail.provider-agent=%s" . | quote }}
{{- end }}
{{- range .iacRoles }}
- {{ printf "--cloudtrail.iac-role=%s" . | quote }}
{{- end }}
{{- range $name, $arn := .names }}
- {{ printf "--cloudtrail.name-role=%s=%s" $name $arn | quote }}
{{- end }}
{{- range $service, $url := .endpoints }}
- {{ printf "--cloudtrail.endpoint=%s=%s" $service $url | quote }}
{{- end }}
{{- end -}}

{{- /* How the kubelet probes path. It has no credentials: with basic auth, it can only see that the port is open. */ -}}
{{- define "crossplane-exporter.probe" -}}
{{- if .root.Values.web.basicAuth.secretName -}}
tcpSocket:
  port: http-metrics
{{- else -}}
httpGet:
  path: {{ .path }}
  port: http-metrics
  {{- if .root.Values.web.tls.secretName }}
  scheme: HTTPS
  {{- end }}
{{- end }}
{{ toYaml .settings }}
{{- end -}}

{{- define "crossplane-exporter.minReadySeconds" -}}
{{- if not (kindIs "invalid" .Values.minReadySeconds) }}{{ .Values.minReadySeconds }}{{ else if .Values.web.basicAuth.secretName }}60{{ end -}}
{{- end -}}

{{- /* The selector of a workload's pods. Takes {root, shard}. */ -}}
{{- define "crossplane-exporter.podSelector" -}}
{{ include "crossplane-exporter.selectorLabels" .root }}
{{- with .shard.name }}
app.kubernetes.io/component: shard-{{ . }}
{{- end }}
{{- end -}}

{{- /* The pod of a workload. Takes {root, name, shard}. */ -}}
{{- define "crossplane-exporter.pod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $volume := eq $values.checkpoint.kind "volume" -}}
metadata:
  labels:
    {{- /* labels of your own go first, so that none can take the place of what is selected by */}}
    {{- with omit $values.podLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "crossplane-exporter.podSelector" . | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: crossplane-exporter
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "crossplane-exporter.serviceAccountName" $root }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: crossplane-exporter
      image: {{ include "crossplane-exporter.image" $root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args:
        {{- if eq $values.checkpoint.kind "configmap" }}
        - --checkpoint=configmap:$(POD_NAMESPACE)/{{ .name }}-checkpoint
        {{- else if $volume }}
        - --checkpoint=file:/var/lib/crossplane-exporter/checkpoint.json.gz
        {{- else }}
        - --checkpoint=none
        {{- end }}
        {{- with $values.exporter.detail }}
        - --detail={{ . }}
        {{- end }}
        {{- with $values.exporter.detailMemory }}
        - {{ printf "--detail.memory=%s" . | quote }}
        {{- end }}
        {{- if not (kindIs "invalid" $values.exporter.seriesMax) }}
        - --series.max={{ int64 $values.exporter.seriesMax }}
        {{- end }}
        {{- if $values.exporter.driftFields }}
        - --drift.fields
        {{- end }}
        {{- range $values.exporter.trustedManagers }}
        - {{ printf "--drift.trusted-manager=%s" . | quote }}
        {{- end }}
        {{- if or $values.web.tls.secretName $values.web.basicAuth.secretName }}
        - --web.config.file=/etc/crossplane-exporter/web/web-config.yml
        {{- end }}
        {{- with include "crossplane-exporter.clusterArgs" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        - name: POD_NAMESPACE
          valueFrom:
            fieldRef:
              fieldPath: metadata.namespace
        {{- with $values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http-metrics
          containerPort: 9948
          protocol: TCP
      livenessProbe:
        {{- include "crossplane-exporter.probe" (dict "root" $root "path" "/-/healthy" "settings" $values.livenessProbe) | nindent 8 }}
      readinessProbe:
        {{- include "crossplane-exporter.probe" (dict "root" $root "path" "/-/ready" "settings" $values.readinessProbe) | nindent 8 }}
      {{- with .shard.resources | default $values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or $volume $values.web.tls.secretName $values.web.basicAuth.secretName $values.extraVolumeMounts }}
      volumeMounts:
        {{- if $volume }}
        - name: checkpoint
          mountPath: /var/lib/crossplane-exporter
        {{- end }}
        {{- if or $values.web.tls.secretName $values.web.basicAuth.secretName }}
        - name: web-config
          mountPath: /etc/crossplane-exporter/web
          readOnly: true
        {{- end }}
        {{- if $values.web.tls.secretName }}
        - name: tls
          mountPath: /etc/crossplane-exporter/tls
          readOnly: true
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
    {{- with $values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or $values.web.tls.secretName $values.web.basicAuth.secretName $values.extraVolumes }}
  volumes:
    {{- with $values.web.basicAuth.secretName }}
    - name: web-config
      secret:
        secretName: {{ . }}
        items:
          - key: web-config.yml
            path: web-config.yml
    {{- else }}
    {{- if $values.web.tls.secretName }}
    - name: web-config
      configMap:
        name: {{ include "crossplane-exporter.fullname" $root }}-web-config
    {{- end }}
    {{- end }}
    {{- with $values.web.tls.secretName }}
    - name: tls
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
