#!/usr/bin/env bash
# Measures everything and writes docs/performance.md with its pictures, and README.md's table from that; `make bench` calls it.
# Takes about an hour and wants a machine that does nothing else. The figures themselves stay in target/bench.json.
# What is said below the tables, about causes, is docs/performance/notes.md: written by people, and kept. Then come the locks
# that were waited for (docs/performance/locks.md).
#
#   tools/bench.sh                  measure
#   tools/bench.sh FILE.json...     write the pages from what `ringo bench --json` printed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ringo=target/release/ringo
figures=("$@")
if [ $# = 0 ]; then
	# Times with memory for a heap of 1 GiB and ten thousand threads; instructions, which emulation counts slowly, without.
	"$ringo" bench --runs 9 --memory 4G --json > target/bench-times.json
	"$ringo" bench --runs 0 --icount --linux-guest --json > target/bench-instructions.json
	"$ringo" bench --tap --linux-guest --case net-tap --json > target/bench-tap.json
	go -C go build -o ../target/go/bench ./bench
	go -C go build -o ../target/go/scheduling ./programs/scheduling
	tools/lock-waits.py > target/locks.md
	mv target/locks.md docs/performance/locks.md
	figures=(target/bench-times.json target/bench-instructions.json target/bench-tap.json)
fi
"$ringo" bench "${figures[@]/#/--from=}" --json > target/bench.json.new
mv target/bench.json.new target/bench.json
"$ringo" bench --from target/bench.json --markdown --plots docs/performance > target/performance.md
for part in notes locks; do
	echo >> target/performance.md
	cat "docs/performance/$part.md" >> target/performance.md
done
mv target/performance.md docs/performance.md
tools/readme-results.sh
"$ringo" bench --from target/bench.json
