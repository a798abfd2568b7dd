{{/* Numbers by name as JSON. Values come as floating point, which JSON would write as 1.2e+06. */}}
{{- define "guestpost.integers" -}}
{{- $numbers := dict }}
{{- range $name, $value := . }}{{ $_ := set $numbers $name (int64 $value) }}{{ end }}
{{- toJson $numbers }}
{{- end }}

{{/* Labels of everything in the release. Takes {"root": $, "component": "broker"}. */}}
{{- define "guestpost.labels" -}}
{{ include "guestpost.selector" . }}
app.kubernetes.io/part-of: guestpost
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "guestpost.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Annotations from several maps, without a block when there are none. */}}
{{- define "guestpost.annotations" -}}
{{- $all := dict }}
{{- range . }}{{ $all = merge $all . }}{{ end }}
{{- with $all }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Values that have no sensible default: ask for them in words. */}}
{{- define "guestpost.check" -}}
{{- $ask := "give its full reference, such as registry.example.com/guestpost" }}
{{- $_ := required (printf "operator.image is missing: %s/operator:%s" $ask .Chart.AppVersion) .Values.operator.image }}
{{- $_ := required (printf "broker.image is missing: %s/broker:%s" $ask .Chart.AppVersion) .Values.broker.image }}
{{- $_ := required (printf "tenants.images.crm is missing: %s/crm:%s" $ask .Chart.AppVersion) .Values.tenants.images.crm }}
{{- $_ := required (printf "tenants.images.postgresql is missing: %s/postgresql:17" $ask) .Values.tenants.images.postgresql }}
{{- $_ := required "tenants.routing.domain is missing: give the domain below which tenants get their names, such as crm.example.com" .Values.tenants.routing.domain }}
{{- $_ := required "tenants.supportContact is missing: give the address that customers turn to, such as support@example.com" .Values.tenants.supportContact }}
{{- if not .Values.tenants.regions }}
{{- fail "tenants.regions is empty: name at least one Google Cloud region that tenants may live in, such as {europe-west1: {}}" }}
{{- end }}
{{- if not .Values.googleProjects }}
{{- fail "googleProjects is empty: name at least one Google project with its clientId; docs/installation.md says how to prepare it" }}
{{- end }}
{{- if and .Values.googleClients.existingSecret .Values.googleClients.values }}
{{- fail "googleClients.existingSecret and googleClients.values are both set: keep one" }}
{{- end }}
{{- if not (or .Values.googleClients.existingSecret .Values.googleClients.values) }}
{{- fail "googleClients.existingSecret is missing: name the Secret that holds clients.json with the OAuth clients' secrets" }}
{{- end }}
{{- with .Values.googleClients.values }}
{{- range $project, $_ := $.Values.googleProjects }}
{{- if not (hasKey $.Values.googleClients.values $project) }}
{{- fail (printf "googleClients.values has no client for the project %s of googleProjects" $project) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq .Values.tenants.routing.kind "HTTPRoute") (not (and .Values.tenants.routing.gateway.name .Values.tenants.routing.gateway.namespace)) }}
{{- fail "tenants.routing.kind HTTPRoute needs tenants.routing.gateway.name and .namespace" }}
{{- end }}
{{- if and (eq .Values.tenants.routing.kind "HTTPRoute") .Values.broker.tls.existingSecret (not .Values.broker.tls.caConfigMap) }}
{{- fail "broker.tls.existingSecret with HTTPRoute needs broker.tls.caConfigMap: a ConfigMap whose ca.crt the gateway checks the broker with" }}
{{- end }}
{{- with .Values.dashboard }}
{{- if .enabled }}
{{- $_ := required (printf "dashboard.image is missing: %s/dashboard:%s" $ask $.Chart.AppVersion) .image }}
{{- if and .oidc.issuer (not .oidc.clientId) }}
{{- fail "dashboard.oidc.clientId is missing: name the dashboard's client at the issuer, which the API server accepts as audience" }}
{{- end }}
{{- if and (eq .identity "impersonation") (not .oidc.issuer) }}
{{- fail "dashboard.identity impersonation needs dashboard.oidc.issuer: somebody has to say who people are" }}
{{- end }}
{{- if and (eq .identity "impersonation") (not .impersonation.users) }}
{{- fail "dashboard.identity impersonation needs dashboard.impersonation.users: name the people, for who may act as anybody may do anything" }}
{{- end }}
{{- if and .route.enabled (eq $.Values.tenants.routing.kind "HTTPRoute") .tls.existingSecret (not .tls.caConfigMap) }}
{{- fail "dashboard.tls.existingSecret with HTTPRoute needs dashboard.tls.caConfigMap: a ConfigMap whose ca.crt the gateway checks the dashboard with" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "guestpost.broker.host" -}}
{{- .Values.broker.host | default (printf "broker.%s" .Values.tenants.routing.domain) }}
{{- end }}

{{- define "guestpost.dashboard.host" -}}
{{- .Values.dashboard.host | default (printf "dashboard.%s" .Values.tenants.routing.domain) }}
{{- end }}

{{/* A host as people reach it, with the port where it is not the scheme's own. Takes (list $ host). */}}
{{- define "guestpost.url" -}}
{{- $routing := (index . 0).Values.tenants.routing }}
{{- $usual := ternary 443 80 (eq $routing.scheme "https") }}
{{- $port := int ($routing.port | default $usual) }}
{{- $routing.scheme }}://{{ index . 1 }}{{ if ne $port $usual }}:{{ $port }}{{ end }}
{{- end }}

{{/* Public addresses, without a trailing slash. */}}
{{- define "guestpost.broker.url" -}}
{{- include "guestpost.url" (list . (include "guestpost.broker.host" .)) }}
{{- end }}

{{- define "guestpost.dashboard.url" -}}
{{- include "guestpost.url" (list . (include "guestpost.dashboard.host" .)) }}
{{- end }}

{{- define "guestpost.broker.tlsSecret" -}}
{{- .Values.broker.tls.existingSecret | default "broker-tls" }}
{{- end }}

{{- define "guestpost.broker.keysSecret" -}}
{{- .Values.broker.keys.existingSecret | default "broker-keys" }}
{{- end }}

{{/* A ring of keys as JSON. Takes {"ring": its name, "old": the present ring as JSON or "", "keys": {"ids", "retired"}}.
An id that has no key gets one, which makes nothing for an hour, so that every broker has read it by then. What is
neither named nor retired stays and opens. */}}
{{- define "guestpost.broker.keyRing" -}}
{{- $known := dict }}
{{- range .old | default "[]" | fromJsonArray }}{{ $_ := set $known .id . }}{{ end }}
{{- $ring := list }}
{{- range concat .keys.ids (keys $known | sortAlpha) | uniq }}
{{- if not (has . $.keys.retired) }}
{{- $key := get $known . | default dict }}
{{- if not $key }}
{{- $key = dict "id" . "key" (randBytes 32) }}
{{- if $known }}{{ $_ := set $key "from" (dateInZone "2006-01-02T15:04:05Z" (now | dateModify "1h") "UTC") }}{{ end }}
{{- end }}
{{- $ring = append $ring $key }}
{{- end }}
{{- end }}
{{- if not $ring }}{{ fail (printf "broker.keys.%s.retired names every key: keep at least one" .ring) }}{{ end }}
{{- toJson $ring }}
{{- end }}

{{- define "guestpost.broker.clientsSecret" -}}
{{- .Values.googleClients.existingSecret | default "broker-google-clients" }}
{{- end }}

{{/* The operator's configuration file. */}}
{{- define "guestpost.config" -}}
{{- $ours := dict
  "network" (dict "brokerNamespace" .Release.Namespace)
  "broker" (dict "url" (printf "https://broker.%s.svc" .Release.Namespace) "caFile" "/etc/guestpost/broker-ca/ca.crt") }}
tenants:
  {{- mustMergeOverwrite (deepCopy .Values.tenants) $ours | toYaml | nindent 2 }}
googleProjects:
  {{- toYaml .Values.googleProjects | nindent 2 }}
rollout:
  {{- toYaml .Values.rollout | nindent 2 }}
operator:
  concurrency: {{ int .Values.operator.concurrency }}
  resyncSeconds: {{ int .Values.operator.resyncSeconds }}
  requestTimeoutSeconds: {{ int .Values.operator.requestTimeoutSeconds }}
  rotateKeysDays: {{ int .Values.operator.rotateKeysDays }}
  keyOverlapSeconds: {{ int .Values.operator.keyOverlapSeconds }}
  metricsPort: 9090
  healthPort: 8080
  namespace: {{ .Release.Namespace }}
  {{- if .Values.admissionPolicies }}
  admissionPolicies:
    {{- include "guestpost.policies" . | nindent 4 }}
  {{- end }}
  logLevel: {{ .Values.operator.logLevel }}
{{- end }}

{{/* Names of the admission policies, for the operator to look after. */}}
{{- define "guestpost.policies" -}}
- guestpost-crds
- guestpost-erasing-tenants
- guestpost-erasure-receipts
- guestpost-exec-needs-a-support-grant
- guestpost-hostnames
- guestpost-marks-of-tenants-stay
- guestpost-no-borrowed-tokens
- guestpost-no-copies-of-volumes
- guestpost-no-way-into-pods
- guestpost-no-way-through-nodes
- guestpost-nobody-else-builds-in-tenants
- guestpost-only-customers-approve
- guestpost-operator-fence
- guestpost-operator-volumes
- guestpost-protected-tenants
- guestpost-tenant-exports
- guestpost-tenant-namespaces
- guestpost-tenant-requests
- guestpost-tenant-usages
{{- end }}

{{/* Pods: who runs them, and what they may. Images run as uid 10001. */}}
{{- define "guestpost.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "guestpost.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where pods run. Takes the values of operator or broker. */}}
{{- define "guestpost.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What operator and broker may reach: DNS, the Kubernetes API, and Google (443 outside the cluster and private ranges). */}}
{{- define "guestpost.egress" -}}
{{- $net := .Values.tenants.network }}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $net.dns.namespace }}}}
      podSelector: {matchLabels: {{ toJson $net.dns.podLabels }}}
    {{- range $net.dns.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
- to:
    {{- range $net.apiServer.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    {{- range $net.apiServer.ports }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
- to:
    {{- $inside := concat (list "10.0.0.0/8" "100.64.0.0/10" "127.0.0.0/8" "169.254.0.0/16" "172.16.0.0/12" "192.168.0.0/16" "::1/128" "fc00::/7" "fe80::/10") $net.clusterCIDRs | uniq }}
    {{- $v4 := list }}{{ $v6 := list }}
    {{- range $inside }}
    {{- if contains ":" . }}{{ $v6 = append $v6 . }}{{ else }}{{ $v4 = append $v4 . }}{{ end }}
    {{- end }}
    - ipBlock: {cidr: 0.0.0.0/0, except: {{ toJson $v4 }}}
    - ipBlock: {cidr: "::/0", except: {{ toJson $v6 }}}
  ports: [{port: 443, protocol: TCP}]
{{- with $net.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Metrics for the monitoring's namespaces, if there are any. */}}
{{- define "guestpost.metricsIngress" -}}
{{- with .Values.tenants.network.monitoringNamespaces }}
- from:
    {{- range . }}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ . }}}}
    {{- end }}
  ports: [{port: 9090, protocol: TCP}]
{{- end }}
{{- end }}

{{/* Kubernetes' own controllers that make and change what others have asked for, as a CEL list. */}}
{{- define "guestpost.controllers" -}}
{{- toJson (list "deployment-controller" "replicaset-controller" "statefulset-controller" "daemon-set-controller" "job-controller"
"cronjob-controller" "replication-controller" "ttl-after-finished-controller" "generic-garbage-collector" "namespace-controller"
"pod-garbage-collector" "service-account-controller" "root-ca-cert-publisher" "ephemeral-volume-controller"
"persistent-volume-binder" "pv-protection-controller" "pvc-protection-controller" "attachdetach-controller" "expand-controller"
"node-controller" "taint-eviction-controller") }}
{{- end }}

{{/* CEL: whether a request comes from one that builds in tenants' namespaces: the operator, CloudNativePG, Kubernetes itself. */}}
{{- define "guestpost.trusted" -}}
{{- $names := prepend .Values.tenantAccess.controlPlaneAccounts (printf "system:serviceaccount:%s:operator" .Release.Namespace) }}
{{- $groups := list "system:nodes" (printf "system:serviceaccounts:%s" .Values.tenants.network.databaseOperatorNamespace) }}
{{- printf "request.userInfo.username in %s || " (concat $names .Values.tenantAccess.trustedAccounts | toJson) }}
{{- printf "request.userInfo.groups.exists(group, group in %s) || " (concat $groups .Values.tenantAccess.trustedAccounts | toJson) }}
{{- printf "(request.userInfo.username.startsWith('system:serviceaccount:kube-system:') && request.userInfo.username.substring(34) in %s)" (include "guestpost.controllers" .) }}
{{- end }}
