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

{{/* Milliseconds of a time such as 90s. */}}
{{- define "blockgrid.millis" -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- mul (trimSuffix $unit . | int64) (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000) $unit) -}}
{{- end -}}

{{/* The number that a quantity such as 500m or 4Gi is. */}}
{{- define "blockgrid.amount" -}}
{{- $units := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 -}}
{{- $units = merge $units (dict "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0) -}}
{{- $text := toString . -}}
{{- $unit := regexFind "(m|[kMGTPE]|[KMGTPE]i)$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (get $units $unit) -}}
{{- end -}}

{{/* What cannot work, said before anything is made: what compares values. The schema says the rest. */}}
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
{{- fail (printf "interactive.minReplicas is %d, which is more than interactive.maxReplicas, %d: lower the one or raise the other" (int .Values.interactive.minReplicas) (int .Values.interactive.maxReplicas)) -}}
{{- end -}}
{{- $name := include "blockgrid.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the release's objects would be called %s-..., but a name has small letters, digits and -, and begins with a letter: give another one by fullnameOverride" $name) -}}
{{- end -}}
{{- with .Values.leaderElection -}}
{{- $lease := include "blockgrid.millis" .leaseDuration | int64 -}}
{{- $renew := include "blockgrid.millis" .renewDeadline | int64 -}}
{{- if ge $renew $lease -}}
{{- fail (printf "leaderElection.renewDeadline is %s, but must be less than leaderElection.leaseDuration, %s: lower the one or raise the other" .renewDeadline .leaseDuration) -}}
{{- end -}}
{{- if ge (include "blockgrid.millis" .retryPeriod | int64) $renew -}}
{{- fail (printf "leaderElection.retryPeriod is %s, but must be less than leaderElection.renewDeadline, %s: lower the one or raise the other" .retryPeriod .renewDeadline) -}}
{{- end -}}
{{- end -}}
{{- with .Values.jobs -}}
{{- range $field, $time := dict "jobs.ttl" .ttl "jobs.deadline" .deadline "jobs.maxDeadline" .maxDeadline "jobs.maxRest" .maxRest "workers.startDeadline" $.Values.workers.startDeadline -}}
{{- if gt (include "blockgrid.millis" $time | int64) 315360000000 -}}
{{- fail (printf "%s is %s, but must be at most 3650d, such as 7d" $field $time) -}}
{{- end -}}
{{- end -}}
{{- if gt (include "blockgrid.millis" .deadline | int64) (include "blockgrid.millis" .maxDeadline | int64) -}}
{{- fail (printf "jobs.deadline is %s, but must be at most jobs.maxDeadline, %s: lower the one or raise the other" .deadline .maxDeadline) -}}
{{- end -}}
{{- end -}}
{{- range $class, $is := .Values.classes -}}
{{- $cpu := include "blockgrid.amount" $is.cpu | float64 -}}
{{- if or (lt $cpu 0.001) (gt $cpu 1024.0) -}}
{{- fail (printf "classes.%s.cpu is %v, but must be from 1m to 1024 processors, such as 2 or 500m" $class $is.cpu) -}}
{{- end -}}
{{- $memory := include "blockgrid.amount" $is.memory | float64 -}}
{{- if or (lt $memory 67108864.0) (gt $memory 1e14) -}}
{{- fail (printf "classes.%s.memory is %v, but must be from 64Mi to 90Ti, such as 4Gi" $class $is.memory) -}}
{{- end -}}
{{- end -}}
{{- with .Values.interactive -}}
{{- if .enabled -}}
{{- $limit := default (index .resources.requests "memory") (index .resources.limits "memory") -}}
{{- $columns := include "blockgrid.amount" .memory | float64 -}}
{{- $candles := include "blockgrid.amount" .candleMemory | float64 -}}
{{- if and $limit (ge (addf $columns $candles) (include "blockgrid.amount" $limit | float64)) -}}
{{- fail (printf "interactive.memory is %v and interactive.candleMemory %v, but together they must be less than interactive.resources.limits.memory, %v: lower them or raise that" .memory .candleMemory $limit) -}}
{{- end -}}
{{- if ge (include "blockgrid.amount" .cacheSize | float64) (include "blockgrid.amount" .cacheLimit | float64) -}}
{{- fail (printf "interactive.cacheSize is %v, but must be less than interactive.cacheLimit, %v: lower the one or raise the other" .cacheSize .cacheLimit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $what := list "operator" "redis" "interactive" -}}
{{- $resources := (index $.Values $what).resources -}}
{{- range $resource, $request := $resources.requests -}}
{{- $limit := default $request (index $resources.limits $resource) -}}
{{- if gt (include "blockgrid.amount" $request | float64) (include "blockgrid.amount" $limit | float64) -}}
{{- fail (printf "%s.resources.requests.%s is %v, but must be at most its limit, %v: lower the one or raise the other" $what $resource $request $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
