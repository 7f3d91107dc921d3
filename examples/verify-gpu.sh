#!/bin/sh
# What an owner of a GPU cluster runs to fill docs/verified.md: starts one small model on one GPU, measures it, and
# prints a row for the table there. Bounded: one model, one GPU, half an hour at most; everything it made in the cluster
# is deleted at the end. If it fails, what the cluster said of it is kept in a folder here first.
#
#   examples/verify-gpu.sh [TGI|VLLM|SGLang|LlamaCpp]
#
# The operator must be installed (docs/install.md) and watch the namespace. Variables:
#   NAMESPACE  where it runs; default: default      RESOURCE  of the accelerator; default: nvidia.com/gpu
#   MODEL      hub id; default: Qwen/Qwen2.5-0.5B-Instruct (LlamaCpp: its GGUF repository)
#   IMAGE      of the server; default: the runtime's own      KUBECONFIG, as kubectl has it
#   EVIDENCE   the folder for a failure; default: verify-gpu-RUNTIME-TIME
set -eu

RUNTIME=${1:-TGI}
NAMESPACE=${NAMESPACE:-default}
RESOURCE=${RESOURCE:-nvidia.com/gpu}
SECONDS_AT_MOST=1800
NAME=verify-gpu-$(printf '%s' "$RUNTIME" | tr '[:upper:]' '[:lower:]')
EVIDENCE=${EVIDENCE:-$NAME-$(date +%Y%m%dT%H%M%S)}

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "verify-gpu: $*"
  exit 1
}
ask() { kubectl -n "$NAMESPACE" get perb "$NAME" -o "jsonpath=$1"; }

case $RUNTIME in
  TGI | VLLM | SGLang) MODEL=${MODEL:-Qwen/Qwen2.5-0.5B-Instruct} ;;
  LlamaCpp) MODEL=${MODEL:-Qwen/Qwen2.5-0.5B-Instruct-GGUF} ;;
  *) fail "$RUNTIME is none of TGI, VLLM, SGLang, LlamaCpp" ;;
esac

# What must be there before anything is started.
command -v kubectl >/dev/null || fail "kubectl is not installed"
kubectl version >/dev/null 2>&1 || fail "kubectl reaches no cluster: set KUBECONFIG"
kubectl get crd perbenchmarks.perbench.dev >/dev/null 2>&1 || fail "no CRD: helm install perbench-crds charts/perbench-crds"
kubectl auth can-i create perbenchmarks.perbench.dev -n "$NAMESPACE" >/dev/null ||
  fail "you may not create benchmarks in namespace $NAMESPACE"
escaped=$(printf '%s' "$RESOURCE" | sed 's/\./\\./g')
nodes=$(kubectl get nodes -o "jsonpath={range .items[*]}{.status.allocatable.$escaped}{\"\\n\"}{end}" | grep -c '[1-9]' || true)
[ "$nodes" -gt 0 ] || fail "no node offers $RESOURCE: is its device plugin installed?"
if kubectl -n "$NAMESPACE" get perb "$NAME" >/dev/null 2>&1; then
  fail "perb/$NAME is in namespace $NAMESPACE already: delete it first"
fi
say "$nodes nodes offer $RESOURCE; starting $MODEL behind $RUNTIME in namespace $NAMESPACE"

keep() { # FILE, then what kubectl is to be asked: its answer, or why there is none, goes into the file
  file=$EVIDENCE/$1
  shift
  kubectl -n "$NAMESPACE" "$@" >"$file" 2>&1 || true
}
keep_evidence() {
  mkdir -p "$EVIDENCE" || return 0
  uid=$(ask '{.metadata.uid}') || return 0
  keep benchmark.yaml get perb "$NAME" -o yaml
  keep description.txt describe perb "$NAME"
  keep objects.txt get jobs,pods,services,configmaps -l "perbench.dev/uid=$uid" -o wide
  keep pods.txt describe pods -l "perbench.dev/uid=$uid"
  keep events.txt get events --sort-by=.lastTimestamp
  for pod in $(kubectl -n "$NAMESPACE" get pods -l "perbench.dev/uid=$uid" -o name 2>/dev/null); do
    keep "$(basename "$pod").log" logs "$pod" --all-containers --prefix --timestamps
  done
  say "verify-gpu: what the cluster said of it is in $EVIDENCE"
}
clean_up() {
  code=$?
  trap - EXIT INT TERM
  [ "$code" -eq 0 ] || keep_evidence
  kubectl -n "$NAMESPACE" delete perb "$NAME" --ignore-not-found --wait=false >/dev/null 2>&1 || true
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

kubectl -n "$NAMESPACE" apply -f - >/dev/null <<YAML
apiVersion: perbench.dev/v1alpha1
kind: PERBenchmark
metadata: {name: $NAME}
spec:
  models:
  - name: model
    model: $MODEL
  serving:
    runtime: $RUNTIME
    ${IMAGE:+image: $IMAGE}
    accelerator: {resource: $RESOURCE, count: 1}
  tasks:
  - {name: answers, preset: PackagedAnswers, limit: 32, maxTokens: 32}
  load: {api: Chat, concurrency: 8, repeats: 3}
  execution:
    keepModels: OnFailure
    deadlines: {schedulingSeconds: 300, imageSeconds: 900, readySeconds: 900, totalSeconds: $SECONDS_AT_MOST}
YAML

deadline=$(($(date +%s) + SECONDS_AT_MOST + 60))
shown=
while :; do
  line=$(ask '{.status.phase} {.status.progress.message}' || true)
  [ "$line" = "$shown" ] || say "$(date +%H:%M:%S) $line"
  shown=$line
  [ -n "$(ask '{.status.completionTime}' || true)" ] && break
  refused=$(ask '{.status.conditions[?(@.type=="Accepted")].message}' || true)
  [ "$(ask '{.status.conditions[?(@.type=="Accepted")].status}' || true)" != False ] || fail "not accepted: $refused"
  [ "$(date +%s)" -lt "$deadline" ] || fail "not at its end after $SECONDS_AT_MOST s: see kubectl describe perb $NAME"
  sleep 5
done

succeeded=$(ask '{.status.conditions[?(@.type=="Succeeded")].status}')
reason=$(ask '{.status.conditions[?(@.type=="Succeeded")].reason}')
# The columns of "On accelerators" in docs/verified.md.
printf '| %s | %s | %s | %s | %s | %s s | %s %s | %s |\n' \
  "$RUNTIME" "$(ask '{.status.models[0].image}')" "$(ask '{.status.models[0].accelerator}')" \
  "$(kubectl version -o json | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p' | tail -n 1)" "$MODEL" \
  "$(ask '{.status.models[0].readySeconds}')" "$(ask '{.status.models[0].tasks[0].throughput}')" \
  "$(ask '{.status.models[0].tasks[0].throughputUnit}')" "$reason"
[ "$succeeded" = True ] || fail "$reason: $(ask '{.status.conditions[?(@.type=="Succeeded")].message}')"
