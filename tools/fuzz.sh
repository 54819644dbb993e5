#!/usr/bin/env bash
# Runs the fuzzers: tools/fuzz.sh [SECONDS for each] [TARGET...]. Without SECONDS each makes a number of runs from a fixed
# seed, some 20 seconds, as CI does: what it finds it finds again. From 600 seconds on new inputs stay in fuzz/corpus. An
# input that fails is written to fuzz/found-*, and belongs into fuzz/corpus once the bug is mended.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-0}
shift || true
targets=("$@")
((${#targets[@]})) || targets=(expression manifest candles)

if ! command -v c++ >/dev/null; then
    echo "skipped: libFuzzer needs a C++ compiler (apt-get install g++)"
    exit 0
fi

# Coverage as cargo-fuzz asks for it without a sanitizer: all of it works on stable Rust.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# The versions that everything else is built with.
cp Cargo.lock fuzz/Cargo.lock
cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$target_dir"

for target in "${targets[@]}"; do
    # What CI finds new it does not keep: a scratch folder takes it unless the run is long enough to be meant for the corpus.
    new=$(mktemp -d)
    ((seconds < 600)) || new=fuzz/corpus/$target
    length=(-runs=20000 -seed=1)
    ((seconds == 0)) || length=(-max_total_time="$seconds")
    "$target_dir/$host/release/$target" "$new" "fuzz/corpus/$target" "${length[@]}" -timeout=10 \
        -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 -verbosity=0 -artifact_prefix="fuzz/found-$target-" 2>&1 |
        grep -aE 'panicked|ERROR|SUMMARY|number_of_executed_units|peak_rss' || true
    # grep has eaten the exit code: a failure has left its input.
    if compgen -G "fuzz/found-$target-*" >/dev/null; then
        echo "fuzz: $target failed on $(ls fuzz/found-"$target"-*)" >&2
        exit 1
    fi
    [[ $new == fuzz/corpus/* ]] || rm -r "$new"
    echo "fuzz: $target, ${length[*]}: no failure"
done
