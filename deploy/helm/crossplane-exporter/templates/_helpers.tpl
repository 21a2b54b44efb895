{{- /* Names leave room for the longest suffix, so that what has a limit of 63 characters, or of 52 for a StatefulSet, stays below. */ -}}
{{- define "crossplane-exporter.fullname" -}}
{{- $name := .Values.fullnameOverride | default (contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name)) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* What never changes, because selectors cannot. The name is also the scrape job's, which the alerts select by. */ -}}
{{- define "crossplane-exporter.selectorLabels" -}}
app.kubernetes.io/name: crossplane-exporter
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "crossplane-exporter.labels" -}}
{{- include "crossplane-exporter.labelsWith" (list . dict) -}}
{{- end -}}

{{- /* The labels of an object that has some of its own, of a list (root, own). None takes the place of the chart's: they are selected by. */ -}}
{{- define "crossplane-exporter.labelsWith" -}}
{{- $root := first . -}}
{{- $labels := include "crossplane-exporter.selectorLabels" $root | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "crossplane" -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- mergeOverwrite dict $root.Values.commonLabels (last .) $labels | toYaml -}}
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

{{- /* What the exporter runs as. A StatefulSet numbers its pods, so that each is told which shard it is, and gives each a volume. */ -}}
{{- define "crossplane-exporter.workload" -}}
{{- or (gt (int .Values.shards) 1) (eq .Values.checkpoint.kind "volume") | ternary "StatefulSet" "Deployment" -}}
{{- end -}}

{{- /* The workload's name. That of shards is another one with a volume than without, because what makes volumes cannot be changed in a
StatefulSet that is there. */ -}}
{{- define "crossplane-exporter.workloadName" -}}
{{- include "crossplane-exporter.fullname" . }}
{{- if and (gt (int .Values.shards) 1) (ne .Values.checkpoint.kind "volume") }}-shard{{ end -}}
{{- end -}}

{{- /* The names of the ConfigMaps that checkpoints are kept in, a line each. */ -}}
{{- define "crossplane-exporter.checkpoints" -}}
{{- $name := printf "%s-checkpoint" (include "crossplane-exporter.fullname" .) -}}
{{- if gt (int .Values.shards) 1 -}}
{{- range until (int .Values.shards) }}
{{ $name }}-{{ . }}
{{- end }}
{{- else }}
{{ $name }}
{{- end -}}
{{- end -}}

{{- /* The flags that say what is watched, which `check` takes too. */ -}}
{{- define "crossplane-exporter.clusterArgs" -}}
{{- $values := .Values -}}
{{- with $values.exporter.logLevel }}
- --log.level={{ . }}
{{- end }}
{{- with $values.exporter.logFormat }}
- --log.format={{ . }}
{{- end }}
{{- with $values.exporter.teamLabel }}
- {{ printf "--team-label=%s" . | quote }}
{{- end }}
{{- range $values.exporter.include }}
- {{ printf "--include=%s" . | quote }}
{{- end }}
{{- range $values.exporter.exclude }}
- {{ printf "--exclude=%s" . | quote }}
{{- end }}
{{- include "crossplane-exporter.trailArgs" $values.cloudtrail }}
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

{{- /* What a workload and its pod template have in common. */ -}}
{{- define "crossplane-exporter.pods" -}}
revisionHistoryLimit: {{ .Values.revisionHistoryLimit }}
selector:
  matchLabels:
    {{- include "crossplane-exporter.selectorLabels" . | nindent 4 }}
template:
  {{- include "crossplane-exporter.pod" . | nindent 2 }}
{{- end -}}

{{- define "crossplane-exporter.pod" -}}
{{- $root := . -}}
{{- $values := .Values -}}
{{- $volume := eq $values.checkpoint.kind "volume" -}}
metadata:
  labels:
    {{- mergeOverwrite dict $values.podLabels (include "crossplane-exporter.selectorLabels" . | fromYaml) | toYaml | nindent 4 }}
  annotations:
    {{- mergeOverwrite (dict "kubectl.kubernetes.io/default-container" "crossplane-exporter") $values.podAnnotations | toYaml | nindent 4 }}
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
        - --checkpoint=configmap:$(POD_NAMESPACE)/{{ include "crossplane-exporter.fullname" $root }}-checkpoint
        {{- else if $volume }}
        - --checkpoint=file:/var/lib/crossplane-exporter/checkpoint.json.gz
        {{- else }}
        - --checkpoint=none
        {{- end }}
        {{- if gt (int $values.shards) 1 }}
        - --shards={{ int $values.shards }}
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
        {{- if gt (int $values.shards) 1 }}
        - name: CROSSPLANE_EXPORTER_SHARD
          valueFrom:
            fieldRef:
              fieldPath: metadata.labels['apps.kubernetes.io/pod-index']
        {{- end }}
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
      {{- with $values.resources }}
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
