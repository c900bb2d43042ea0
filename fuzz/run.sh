#!/bin/sh
# Builds the fuzz target `commitment` with libFuzzer's instrumentation and runs it; arguments are libFuzzer's. What it has found to be
# worth keeping stays in target/fuzz/corpus, an input that fails in target/fuzz/.
set -eu
cd "$(dirname "$0")"
unset __CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS CARGO_UNSTABLE_FEATURE_UNIFICATION CARGO_RESOLVER_FEATURE_UNIFICATION
target=${CARGO_TARGET_DIR:-../target/fuzz}
platform=$(rustc +nightly -vV | sed -n 's/^host: //p')
pass='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
pass="$pass -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
# With a target named, build scripts and macros are not instrumented.
RUSTFLAGS=$pass cargo +nightly build --release --target "$platform" --target-dir "$target" --bin commitment
mkdir -p "$target/corpus"
exec "$target/$platform/release/commitment" "$target/corpus" -max_len=160 -artifact_prefix="$target/" "$@"
