#!/usr/bin/env bash
# The main job, from the camera to the deployed model, on a machine with no camera: ends with demo/report.html.
# A second run reuses what is there; `bash scripts/demo.sh --fresh` starts again. HOI_DEMO names another folder.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install.sh dev
# From here on every command is the user's own, as the README has it.
bin="$PWD/${HOI_VENV:-.venv}/bin"
demo="${HOI_DEMO:-demo}"
data="$demo/data" results="$demo/results" runs="$demo/runs"
[ "${1:-}" = --fresh ] && rm -rf "$demo"
mkdir -p "$results"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}" OPENBLAS_NUM_THREADS=1

# step NAME MAKES TITLE COMMAND...: runs the command and keeps its figures in results/NAME.json, unless they are there.
# What an interrupted run left of MAKES goes first.
step() {
  local result="$results/$1.json" makes="$2" title="$3" began=$SECONDS
  shift 3
  if [ -e "$result" ]; then printf '\033[2m==> %s: reusing %s\033[0m\n' "$title" "$result"; return; fi
  printf '\033[1m==> %s\033[0m\n    %s\n' "$title" "${*/#$bin\//}"
  [ -z "$makes" ] || rm -rf "$makes"
  "$@" --json "$result.part"
  mv "$result.part" "$result"
  printf '\033[2m    %s s\033[0m\n' $((SECONDS - began))
  printf '{"title": "%s", "seconds": %s}\n' "$title" $((SECONDS - began)) >>"$results/steps.jsonl"
}

record() { # sequence participant seed
  step "capture_$1" "$data/sequences/$1" "Record $1 with the simulated rig" \
    "$bin/hoi-capture" --headless --rig simulated --seconds 6 --sequence "$1" --participant "$2" --object o01 \
    --scenario s1 --seed "$3" --data "$data"
}
record seq_001 p01 0
record seq_002 p02 1

for sequence in seq_001 seq_002; do
  step "annotate_$sequence" "" "Annotate $sequence" "$bin/hoi-annotate" "$sequence" --auto --data "$data"
  step "compare_$sequence" "" "Compare $sequence with the truth" "$bin/hoi-data" compare "$sequence" --data "$data"
done

# The rig's cameras do not roll, so neither need so short a training's crops, beyond a little.
step train_float "$runs/float" "Train SPLite" \
  "$bin/hoi-train" --dataset ours --model splite --steps "${HOI_DEMO_STEPS:-300}" --roll-deg 20 --data "$data" \
  --out "$runs/float"
step train_qat "$runs/qat" "Train on with simulated int8 (QAT)" \
  "$bin/hoi-train" --qat --from "$runs/float" --steps "${HOI_DEMO_QAT_STEPS:-60}" --roll-deg 20 --data "$data" \
  --out "$runs/qat"
step export_fp32 "" "Export fp32" "$bin/hoi-export" "$runs/float" --data "$data" --out "$demo/splite_fp32.onnx"
step export_int8 "" "Export int8" "$bin/hoi-export" "$runs/qat" --int8 --data "$data" --out "$demo/splite_int8.onnx"

evaluate() { # precision split
  step "eval_$1_$2" "" "Evaluate $1 on the $2 sequence, in ONNX Runtime" \
    "$bin/hoi-eval" "$demo/splite_$1.onnx" --dataset ours --split "$2" --data "$data"
}
evaluate fp32 test
evaluate int8 test
evaluate int8 train
step bench "" "Time fp32 against int8, interleaved" \
  "$bin/hoi-bench" model "$demo/splite_fp32.onnx" "$demo/splite_int8.onnx"

"$bin/python" scripts/demo_report.py "$demo"
