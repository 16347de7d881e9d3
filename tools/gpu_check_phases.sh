# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What tools/gpu_check has set:
# shellcheck disable=SC2154,SC2034
# The phases of tools/gpu_check on the machine with the GPU, and what its steps run.

# The folders of a cuBLASLt that PyTorch brought, for CMake, where the toolkit has none.
cublas_of_python() {
  python3 - <<'PYTHON'
import glob, os, sysconfig
for folder in {sysconfig.get_paths()[k] for k in ("purelib", "platlib")}:
    for header in glob.glob(os.path.join(folder, "nvidia", "*", "include", "cublasLt.h")):
        base = os.path.dirname(os.path.dirname(header))
        libraries = sorted(glob.glob(os.path.join(base, "lib", "libcublasLt.so*")))
        if libraries:
            print(f"-DBARCODEMAE_CUBLASLT_INCLUDE={base}/include\n-DBARCODEMAE_CUBLASLT={libraries[0]}")
            raise SystemExit
PYTHON
}

configure_cuda() {
  local options=() capability
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
  # Only this machine's: a third of the compilation.
  [[ ! $capability =~ ^[0-9]+$ ]] || options+=("-DCMAKE_CUDA_ARCHITECTURES=$capability-real")
  local nvcc toolkit
  nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
  toolkit=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
  if ! compgen -G "$toolkit/include/cublasLt.h" >/dev/null && ! compgen -G "$toolkit/targets/*/include/cublasLt.h" >/dev/null; then
    local found
    mapfile -t found < <(cublas_of_python)
    options+=("${found[@]}")
  fi
  echo "${options[@]}"
  # What an earlier attempt found, or did not find, must not stay.
  rm -rf "$cuda_build/CMakeCache.txt" "$cuda_build/CMakeFiles"
  cmake -S . -B "$cuda_build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBARCODEMAE_CPU=OFF -DBARCODEMAE_CUDA=ON \
    -DBARCODEMAE_HEADERS="$unpacked/tree/headers" -DBARCODEMAE_GOOGLETEST="$unpacked/tree/googletest" "${options[@]}"
}


on_small() { [ "$small" = yes ]; }

# How many tests there were: none at all would pass too.
say_tests() {
  local counts
  counts=$(awk '/^== / { n = 0 } /^\[  (PASSED|SKIPPED|FAILED)/ && /\] [0-9]+ tests?/ { line[n++] = $0 } END { for (i = 0; i < n; ++i) print line[i] }' "$log" |
    sed -nE 's/^\[ +([A-Z]+) +\] ([0-9]+).*/\2 \1/p' | paste -sd, -)
  note "          $counts"
  [[ ! $counts =~ (^|,)0\ PASSED ]] || {
    note "FAILED    no test was run"
    bad=1
  }
}

# --- tests ------------------------------------------------------------------------------------------

phase_tests() {
  ensure_plugin
  local op_tests=$cuda_build/tests/backend/test_backend_cuda some='*'
  if on_small; then
    op_tests=${GPU_CHECK_OP_TESTS:-}
    some='*linear_3_24to64*'
    note "small     op tests: linear_3_24to64 alone, of GPU_CHECK_OP_TESTS; models: kmer_head alone"
  elif [ -n "$own_plugin" ]; then
    op_tests=${GPU_CHECK_OP_TESTS:-}
  elif [ ! -x "$op_tests" ]; then
    step "build the op tests" 200 cmake --build "$cuda_build" --target test_backend_cuda
  fi
  if [ -n "$own_plugin" ] && [ -z "$op_tests" ]; then
    note "left out  op tests: BARCODEMAE_CUDA_PLUGIN names a plugin; GPU_CHECK_OP_TESTS could name them"
  elif [ -x "$op_tests" ]; then
    step "op tests" 150 "$op_tests" "--gtest_filter=$some" --gtest_brief=1
    say_tests
  else
    note "left out  op tests: there is no program"
    bad=1
  fi
  local models='*cuda*'
  ! on_small || models='*HiddenStates/cuda_kmer_head'
  step "whole models against PyTorch's numbers" 120 "$unpacked/test_nn" "--gtest_filter=$models" --gtest_brief=1
  say_tests
  step "train, interrupt, resume, embed" 150 try_commands
  if on_small; then
    note "left out  compute-sanitizer: --small"
    return
  fi
  local sanitizer
  sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  if [ ! -x "$sanitizer" ] || [ ! -x "$op_tests" ]; then
    note "left out  sanitizer: compute-sanitizer, or the op tests, are not here"
    return
  fi
  # memcheck on all but the largest cases, the others on every kernel once; in order of worth, as the
  # time allows.
  local few='*/attention_65_*:*/attention_3_*:*/feed_forward_7_*:*/embed_ids_3_*:*/embed_rows_7_*:*/linear_63_*:*/gather_7_*:*/scatter_7_*:*/mean_pool_1_*:*/cross_entropy_7x3_*:*/cross_entropy_33_*soft:*/contrastive_12*:*/triplet_12*:*/pairs_6*:*/convert_65*'
  # But for memcheck of our own kernels alone: cuBLASLt's are slow to check, and reported for nothing.
  local own=()
  case $("$sanitizer" --help 2>&1) in
    *--kernel-regex*) own=(--kernel-regex kns=barcodemae) ;;
    *--kernel-name*) own=(--kernel-name kernel_substring=barcodemae) ;;
  esac
  step_if_time "memcheck" 150 "$sanitizer" --tool memcheck --error-exitcode 3 "$op_tests" \
    '--gtest_filter=-*2048*:*3x1300*:*257*:*h768*' --gtest_brief=1
  step_if_time "racecheck" 100 "$sanitizer" --tool racecheck "${own[@]}" --error-exitcode 3 "$op_tests" "--gtest_filter=$few" --gtest_brief=1
  step_if_time "initcheck" 60 "$sanitizer" --tool initcheck "${own[@]}" --error-exitcode 3 "$op_tests" "--gtest_filter=$few" --gtest_brief=1
  step_if_time "synccheck" 60 "$sanitizer" --tool synccheck "${own[@]}" --error-exitcode 3 "$op_tests" "--gtest_filter=$few" --gtest_brief=1
}

# A training, the same interrupted and resumed (the same bits), and its embeddings beside the CPU's.
try_commands() {
  set -euo pipefail
  local folder steps=400 records=20000 pid waited=0
  [ "$small" = no ] || { steps=6 records=400; }
  folder=$(mktemp -d "$runs/try.XXXXXX")
  "$barcodemae" simulate --records $records --seed 1 --out "$folder/data.csv"
  local train=("$barcodemae" pretrain "$folder/data.csv" --preset tiny --steps "$steps" --batch 16 --validate-records 16
    --validate-queries 16 --validate-keys 16 --log-every 1 --device cuda --precision bf16)
  "${train[@]}" --out "$folder/whole"
  "${train[@]}" --out "$folder/parts" &
  pid=$!
  while ! grep -qs '"kind":"train"' "$folder/parts/metrics.jsonl" && kill -0 "$pid" 2>/dev/null && [ $waited -lt 1200 ]; do
    sleep 0.1
    waited=$((waited + 1))
  done
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid" && echo "the first sitting was through before it could be interrupted" || echo "interrupted: exit code $?"
  "${train[@]}" --out "$folder/parts"
  cmp "$folder/whole/last/model.safetensors" "$folder/parts/last/model.safetensors"
  echo "resumed: the same weights, bit by bit"
  head -n 101 "$folder/data.csv" >"$folder/some.csv"
  local device precision
  for device in cpu cuda; do
    for precision in f32 bf16; do
      [ "$device $precision" != "cpu bf16" ] || continue
      "$barcodemae" embed "$folder/whole" "$folder/some.csv" --out "$folder/$device-$precision.npy" --device $device --precision $precision
    done
  done
  python3 "$here/gpu_check_embeddings.py" "$folder/cpu-f32.npy" "$folder/cuda-f32.npy" 1e-4
  python3 "$here/gpu_check_embeddings.py" "$folder/cpu-f32.npy" "$folder/cuda-bf16.npy" 3e-2
  rm -rf "$folder"
}

# --- bench ------------------------------------------------------------------------------------------

phase_bench() {
  ensure_plugin
  local quick=()
  if on_small; then
    quick=(--quick)
    preset=tiny batch=4
    note "small     --quick, preset tiny, batch 4"
  fi
  local measured=$out/bench.json
  step "barcodemae bench" 120 "$barcodemae" bench --device cuda --preset "$preset" --precision bf16 --batch "$batch" \
    --task train embed prepare --json "$measured" "${quick[@]}" && sed -n '/^products alone/,$p' "$log" | grep -vE '^(==|ok |$)' | sed 's/^/          /' | tee -a "$summary"
  # Of PyTorch's ways the fast ones; all of them: -- --variant NAME…. What is begun at the end of its
  # minutes takes up to two more: compilation.
  local remaining
  remaining=$(number "($(left) - 250) / 60")
  ! on_small || remaining=1
  [ ${#extra[@]} -gt 0 ] || extra=(--variant autocast-sdpa-compiled bf16-sdpa-compiled bf16-compiled)
  step "bench/compare" 600 python3 "$root/bench/pytorch/compare.py" --python "$(command -v python3)" --device cuda \
    --preset "$preset" --batch "$batch" --minutes "$remaining" --binary "$barcodemae" --json "$out/compare.json" \
    "${quick[@]}" "${extra[@]}" && sed -n '/; PyTorch [0-9n]/,$p' "$log" | grep -v '^ok ' | tail -n 45 |
    sed 's/^/          /' | tee -a "$summary"
  if ! grep -qE '^PyTorch [^ ]+ +[0-9]' "$log"; then
    note "FAILED    bench/compare: PyTorch was not measured; the messages are in $log"
    on_small || bad=1
  fi
  if on_small; then
    note "left out  time by kernel: --small"
  elif ! command -v ncu >/dev/null; then
    note "left out  time by kernel: ncu is not here"
  else
    step "time by kernel" 120 kernel_times && head -n 25 "$out/kernels.txt" | sed 's/^/          /' | tee -a "$summary"
  fi
}

# Nsight Compute's durations of every kernel of the first training steps, added up.
kernel_times() {
  set -euo pipefail
  local raw
  raw=$(mktemp)
  ncu --clock-control none --metrics gpu__time_duration.sum --csv --target-processes all --launch-count 2500 \
    "$barcodemae" bench --device cuda --preset "$preset" --precision bf16 --batch "$batch" --task train --quick >"$raw"
  python3 "$here/gpu_check_kernels.py" "$raw" >"$out/kernels.txt"
  rm -f "$raw"
}

# --- train, export, results -------------------------------------------------------------------------

phase_train() {
  ensure_plugin
  local run=$runs/$preset file=$data length status
  # Of `small`, whose values were chosen on val_unseen, but for the rate: `base` itself was never tuned.
  local recipe=(--head base --kmer-init bases --dropout 0 --schedule cosine --warmup 0.05 --lr 5e-4 --beta2 0.98 --weight-decay 0.01 --clip 1)
  # What follows the training, export and the last validation, gets this many seconds.
  local reserve=75 limit
  ! on_small || reserve=40
  length=${total_minutes:-$(number "0.9 * ($(left) - $reserve) / 60")}
  if on_small; then
    preset=tiny batch=8 run=$runs/small file=$runs/small.csv recipe=(--validate-records 16 --validate-queries 16 --validate-keys 16)
    [ -r "$file" ] || "$barcodemae" simulate --records 400 --seed 1 --out "$file" --quiet
    note "small     preset tiny, batch 8, 400 simulated barcodes, the preset's own recipe"
  fi
  recipe+=("${extra[@]}")
  # The length was fixed by the first call.
  [ -n "$total_minutes" ] || [ ! -r "$run/run.json" ] || length=$(cat "$run.minutes" 2>/dev/null || echo "$length")
  echo "$length" >"$run.minutes"
  note "recipe    --preset $preset --batch $batch --minutes $length ${recipe[*]}"
  # SIGTERM ends a sitting with a checkpoint.
  limit=$(($(left) - reserve))
  [ "$limit" -ge 5 ] || fail "--minutes $minutes is too short to train in"
  printf '\n== train\n' >>"$log"
  timeout -s TERM -k 50 "$limit" "$barcodemae" pretrain "$file" --out "$run" --preset "$preset" --device cuda --precision bf16 \
    --batch "$batch" --micro-batch "$batch" --minutes "$length" --checkpoint-minutes 3 "${recipe[@]}" >>"$log" 2>&1
  status=$?
  cp "$run/metrics.jsonl" "$out/" 2>/dev/null && tail -n 1 "$run/metrics.jsonl" | cut -c1-300 | sed 's/^/          /' | tee -a "$summary"
  case $status in
    0) note "ok        training finished: $run" ;;
    124 | 143)
      note "ok        stopped in time with a checkpoint in $run; the same command goes on, on this machine"
      return
      ;;
    *)
      tail -n 15 "$log" | sed 's/^/    | /' | tee -a "$summary"
      note "FAILED    pretrain: exit code $status"
      bad=1
      return
      ;;
  esac
  cp "$run/report.html" "$out/" 2>/dev/null
  export_parts "$run"
}

phase_export() {
  local run=$runs/$preset
  ! on_small || run=$runs/small
  [ -r "$run/run.json" ] || fail "there is no run in $run: train first, on this machine" "--runs and --preset say where train put it."
  export_parts "$run"
}

# The encoder of a run as a tar in parts of at most 16 MB, with its checksum.
export_parts() {
  local run=$1 base=$out/encoder-$precision.tar folder first=1 last count size
  [[ $precision =~ ^(int8|bf16|f32)$ ]] || fail "--precision $precision: int8, bf16 or f32 is expected"
  folder=$(mktemp -d "$runs/export.XXXXXX")
  step "export in $precision" 60 "$barcodemae" export "$run" --out "$folder/encoder" --precision "$precision" || return
  # The same bytes every time, so that parts of several calls fit together.
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$folder" -cf "$folder/encoder.tar" encoder
  size=$(stat -c %s "$folder/encoder.tar")
  count=$(((size + 15999999) / 16000000))
  last=$count
  if [ -n "$parts" ]; then
    [[ $parts =~ ^([0-9]+)(-([0-9]+))?$ ]] || fail "--parts $parts: A or A-B is expected"
    first=${BASH_REMATCH[1]} last=${BASH_REMATCH[3]:-${BASH_REMATCH[1]}}
  fi
  echo "$(sha256sum <"$folder/encoder.tar" | cut -d' ' -f1) $count $size" >"$base.sha256"
  split -b 16000000 --numeric-suffixes=1 -a 2 "$folder/encoder.tar" "$folder/part"
  local number
  for number in $(seq -f %02g "$first" "$last"); do
    if [ -r "$folder/part$number" ]; then mv "$folder/part$number" "$base.part$number"; fi
  done
  rm -rf "$folder"
  note "ok        $base: parts $first to $last of $count, $size bytes in all; tools/gpu_check join puts them together"
}

phase_results() {
  ensure_plugin
  # Baselines need no GPU. Finished cells stay in $runs, and a repeated call goes on.
  local folder=${model:-$runs/$preset} file=$data rows=(--no-baselines)
  if on_small; then
    folder=${model:-$runs/small} file=$runs/small.csv
    rows=(--no-baselines --tasks unseen) preset=tiny
    note "small     the run of train --small, unseen alone, no baselines"
  fi
  [ -r "$folder/config.json" ] || fail "there is no model in $folder: train first, or name one by --model"
  local table=$runs/table
  step "evaluate table" 600 "$barcodemae" evaluate table "$preset=$folder" "$file" --out "$table" --device cuda \
    --precision bf16 "${rows[@]}" "${extra[@]}"
  local name
  for name in table.txt table.csv table.json report.html; do
    [ ! -r "$table/$name" ] || cp "$table/$name" "$out/"
  done
  [ ! -r "$table/table.txt" ] || sed 's/^/          /' "$table/table.txt" | tee -a "$summary"
}
