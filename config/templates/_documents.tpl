{{/* The objects of a file with several YAML documents, as JSON: {"items": [...]}. Input: the text. */}}
{{- define "bgpmesh.documents" -}}
{{- $items := list -}}
{{- range regexSplit "(?m)^---$" . -1 -}}
{{- with fromYaml . -}}{{- $items = append $items . -}}{{- end -}}
{{- end -}}
{{- dict "items" $items | toJson -}}
{{- end -}}

{{/* An object as a YAML document, with the labels of the release. Input: list of object and root. */}}
{{- define "bgpmesh.object" -}}
{{- $object := index . 0 -}}
{{- $root := index . 1 -}}
{{- $labels := dict
	"app.kubernetes.io/name" $root.Chart.Name
	"app.kubernetes.io/instance" $root.Release.Name
	"app.kubernetes.io/managed-by" $root.Release.Service
	"helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version) -}}
{{- $metadata := $object.metadata -}}
{{- $_ := set $metadata "labels" (merge $labels (default dict $metadata.labels)) -}}
{{- /* Roles are for Secrets and Leases of kube-system and calico-system. */ -}}
{{- if and $metadata.namespace (not (hasPrefix "Role" $object.kind)) -}}
{{- $_ := set $metadata "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- range $object.subjects }}{{ $_ := set . "namespace" $root.Release.Namespace }}{{ end -}}
---
{{ toYaml $object }}
{{ end -}}

{{/* The image's full name. */}}
{{- define "bgpmesh.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}

{{/* Sets what DaemonSet and Deployment share. Input: list of object, root, text of the configuration. */}}
{{- define "bgpmesh.workload" -}}
{{- $object := index . 0 -}}
{{- $root := index . 1 -}}
{{- $template := $object.spec.template -}}
{{- $spec := $template.spec -}}
{{- range $container := concat (default list $spec.initContainers) $spec.containers -}}
{{- $_ := set $container "image" (include "bgpmesh.image" $root) -}}
{{- with $root.Values.image.pullPolicy }}{{ $_ := set $container "imagePullPolicy" . }}{{ end -}}
{{- end -}}
{{- with $root.Values.image.pullSecrets }}{{ $_ := set $spec "imagePullSecrets" . }}{{ end -}}
{{- $sum := dict "checksum/config" (index . 2 | sha256sum) -}}
{{- $_ := set $template.metadata "annotations" $sum -}}
{{- end -}}
