#!/usr/bin/env bash
# Fuzzes what reads bytes from outside (tests/hostile), with the stable compiler and LLVM's fuzzer, one target after the other.
# What is learnt stays in target/fuzz/corpus; an input that fails goes to target/fuzz/found, and the run ends with its name.
#
#   tools/fuzz.sh                 every target, FUZZ_SECONDS=60 each
#   tools/fuzz.sh TARGET...       these only
#   tools/fuzz.sh TARGET FILE     runs the target once, on this input
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${FUZZ_SECONDS:-60}
host=x86_64-unknown-linux-gnu
out=$PWD/target/fuzz
command -v c++ >/dev/null || { echo "fuzz: no C++ compiler, which libFuzzer is built with (Debian's package g++)" >&2; exit 1; }

# What `cargo fuzz` passes, without a sanitizer (which only a nightly compiler has): nothing under test is unsafe.
# --target keeps build scripts out of it.
coverage=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code --cfg fuzzing)
RUSTFLAGS="${coverage[*]}" CARGO_TARGET_DIR=$out/build \
	cargo build -q --release --locked --target $host --manifest-path fuzz/Cargo.toml
bin=$out/build/$host/release

# Real executables: those of the Go distributions that are here, and position-independent ones of ours.
executables=()
for root in .cache/go/*/; do
	[ -x "$root/bin/go" ] || continue
	pie=$out/$(basename "$root")-pie
	(root=$PWD/$root && cd go && GOROOT=$root GOTOOLCHAIN=local CGO_ENABLED=0 "$root/bin/go" build -buildmode=pie -o "$pie" ./programs/hello)
	executables+=("$root/bin/gofmt" "$root/pkg/tool/linux_amd64/vet" "$pie")
done
cargo run -q -p ringo-hostile --example seeds -- "$out/corpus" "${executables[@]}"

if [ $# = 2 ] && [ -f "$2" ]; then exec "$bin/$1" "$2"; fi
[ $# != 0 ] || set -- $(sed -n 's/^name = "\([a-z0-9]*\)"$/\1/p' fuzz/Cargo.toml)
mkdir -p "$out/found"
for target in "$@"; do
	log=$out/$target.log
	if "$bin/$target" "$out/corpus/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
		-artifact_prefix="$out/found/$target-" -print_final_stats=1 >"$log" 2>&1; then
		awk -v name="$target" '
			/cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") reached = $(i + 1) }
			/number_of_executed_units/ { runs = $2 }
			END { printf "fuzz: %-8s %d inputs, %d branches reached, nothing found\n", name, runs, reached }' "$log"
	else
		grep -v '^ *[0-9]*: \|^ *at ' "$log" | tail -n 30 >&2
		echo "fuzz: $target FAILED; again: tools/fuzz.sh $target target/fuzz/found/$target-..., all of it: $log" >&2
		exit 1
	fi
done
