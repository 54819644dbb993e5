{{/* Names leave room for the longest suffix in the 63 characters of a label. */}}
{{- define "blockgrid.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "blockgrid.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects our pods, but for the component. */}}
{{- define "blockgrid.selector" -}}
app.kubernetes.io/name: {{ include "blockgrid.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "blockgrid.labels" -}}
{{ include "blockgrid.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "blockgrid.workersNamespace" -}}
{{- default .Release.Namespace .Values.workers.namespace -}}
{{- end -}}

{{/* The operator as the API server knows it. */}}
{{- define "blockgrid.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "blockgrid.fullname" . }}-operator
{{- end -}}

{{/* repository:tag, or repository@digest. Takes {image, tag}. */}}
{{- define "blockgrid.imageOf" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .tag .image.tag }}
{{- end -}}
{{- end -}}

{{- define "blockgrid.image" -}}
{{ include "blockgrid.imageOf" (dict "image" .Values.image "tag" .Chart.AppVersion) }}
{{- end -}}

{{- define "blockgrid.redisSecret" -}}
{{- default (printf "%s-redis" (include "blockgrid.fullname" .)) .Values.redis.existingSecret -}}
{{- end -}}

{{/* Where store and queue are, from Secrets; what values say goes before them (blockgrid.gridEnv). */}}
{{- define "blockgrid.gridEnvFrom" -}}
{{- with .Values.s3.existingSecret }}
- secretRef: {name: {{ . }}}
{{- end }}
- secretRef: {name: {{ include "blockgrid.redisSecret" . }}}
{{- end -}}

{{- define "blockgrid.gridEnv" -}}
{{- with .Values.s3 }}
{{- with .location }}
- {name: BLOCKGRID_STORE, value: {{ . | quote }}}
{{- end }}
{{- with .endpoint }}
- {name: BLOCKGRID_S3_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- with .region }}
- {name: AWS_REGION, value: {{ . | quote }}}
{{- end }}
{{- if .allowHttp }}
- {name: AWS_ALLOW_HTTP, value: "true"}
{{- end }}
{{- end }}
{{- end -}}

{{/* Pod Security "restricted", for pods and for containers. */}}
{{- define "blockgrid.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "blockgrid.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where a pod may run. Takes values with nodeSelector, tolerations, affinity, priorityClassName. */}}
{{- define "blockgrid.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "blockgrid.graceSeconds" -}}
{{- trimSuffix "s" .Values.workers.grace | int -}}
{{- end -}}

{{/* The port of a URL of a server. */}}
{{- define "blockgrid.portOf" -}}
{{- $host := regexReplaceAll "^[a-z]+://" . "" | trimSuffix "/" -}}
{{- if regexMatch ":[0-9]+$" $host -}}
{{- regexFind "[0-9]+$" $host -}}
{{- else if hasPrefix "http://" . -}}
80
{{- else -}}
443
{{- end -}}
{{- end -}}

{{/* What cannot work, said before anything is made. The schema says the rest. */}}
{{- define "blockgrid.check" -}}
{{- if not (or .Values.s3.existingSecret .Values.s3.location) -}}
{{- fail "\n\nThe grid has no object store. Make a Secret and name it by s3.existingSecret:\n\n  kubectl create secret generic blockgrid-s3 --namespace NAMESPACE --from-literal=BLOCKGRID_STORE=s3://BUCKET/PREFIX \\\n    --from-literal=AWS_REGION=REGION --from-literal=AWS_ACCESS_KEY_ID=... --from-literal=AWS_SECRET_ACCESS_KEY=...\n\nor, where pods have a role of their own, give s3.location=s3://BUCKET/PREFIX and the annotations of\noperator.serviceAccount and workers.serviceAccount.\n" -}}
{{- end -}}
{{- if and (not .Values.redis.enabled) (not .Values.redis.existingSecret) -}}
{{- fail "redis.enabled is false: name the Secret with BLOCKGRID_REDIS by redis.existingSecret" -}}
{{- end -}}
{{- if and (hasPrefix "http://" .Values.s3.endpoint) (not .Values.s3.allowHttp) -}}
{{- fail "s3.endpoint is not encrypted: use https://, or set s3.allowHttp" -}}
{{- end -}}
{{- if and (or .Values.believedUsers .Values.believedGroups) (not .Values.admissionPolicies.enabled) -}}
{{- fail "believedUsers and believedGroups need admissionPolicies.enabled: without the policy anyone may set the label that says who a job's user is" -}}
{{- end -}}
{{- if gt (int .Values.interactive.minReplicas) (int .Values.interactive.maxReplicas) -}}
{{- fail "interactive.minReplicas is more than interactive.maxReplicas" -}}
{{- end -}}
{{- end -}}
