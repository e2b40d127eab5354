#!/usr/bin/env bash
# Every test: the host's unit tests, then real Go programs in real VMs. Closes with one line of totals.
# Arguments are passed on to the end-to-end tests (a filter, --list, ...), which then run alone.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# Building, which may fetch, is not timed. The unit tests look at programs of every Go version.
[ $# != 0 ] || tools/setup.sh go $(grep -v '^#' tools/go-versions) || exit 1
cargo test -q --workspace --exclude ringo-kernel --no-run || exit 1
# A test that hangs is a test that fails. `timeout` leads a group of its own, which Ctrl-C doesn't reach but by us.
limited() {
	(
		trap 'kill $!' INT TERM
		timeout --kill-after=10 "$@" 2>&1 &
		wait $!
	) | tee -a "$log"
}
if [ $# = 0 ]; then
	limited 15m cargo test -q --no-fail-fast --workspace --exclude ringo-kernel --exclude ringo-e2e || status=1
fi
if [ -d tests/src ]; then
	limited 60m cargo test -q -p ringo-e2e -- "$@" || status=1
fi
awk -v status=$status '
	/^second tries:/ { again += $3 }
	/^test result:/ { gsub(";", ""); passed += $4; failed += $6; skipped += $8 }
	END {
		if (status && !failed) failed = 1 # a build that broke
		if (again) printf "%d of those that passed did so at the second try only, and are named above\n", again
		printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
		exit !passed
	}' "$log" || status=1
exit $status
