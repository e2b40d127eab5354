#!/usr/bin/env python3
"""Prints which of the kernel's locks were waited for, by case, as a table in Markdown: eight CPUs under emulation, which is the
worst case for locks: with more vCPUs than the host has CPUs a lock's holder is often not running. Counts differ from run to run.

    go -C go build -o ../target/go/bench ./bench && go -C go build -o ../target/go/scheduling ./programs/scheduling
    tools/lock-waits.py > docs/performance/locks.md        (tools/bench.sh does both)
"""
import collections
import json
import os
import subprocess
import sys

RINGO = os.environ.get("RINGO", "target/release/ringo")
CPUS = "8"
CASES = [
    "threads/token", "threads/futex-contention", "goroutines/token", "goroutines/start", "mix/write-and-channels-n",
    "memory/allocate-gc", "pipe/round-trip", "file/create-remove", "net/request-1k-64",
]


def stats(program):
    """What `--stats` said of one run: the last line of standard error."""
    command = [RINGO, "run", "--engine", "tcg", "--cpus", CPUS, "--stats", *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stderr.splitlines()[-1])


def row(name, program):
    """One line of the table; waits are added up by file, for lines come and go."""
    found = stats(program)
    waits = found["lock_waits"]
    files = collections.Counter()
    for place, counts in waits.items():
        files[place.rsplit(":", 1)[0]] += counts["waits"]
    total = sum(files.values())
    turns = sum(counts["spins"] for counts in waits.values()) // total if total else 0
    where = ", ".join(f"`{file}` ({count})" for file, count in files.most_common(4))
    calls = found["syscalls"]
    share = 100 * total / calls if calls else 0
    return f"| {name} | {calls:,} | {total:,} | {share:.2f} | {turns:,} | {where} |"


print("## Locks that are waited for, at 8 CPUs\n")
print("Written by `tools/lock-waits.py`: one run a case with eight vCPUs under TCG; [profiling.md](profiling.md) says how to read")
print("it. `sync/wait.rs` is every wait queue. A wait of thousands of turns is one for the host to run the holder's vCPU again.\n")
print("| case | system calls | waits | in 100 calls | turns a wait | waited for in |")
print("|---|---:|---:|---:|---:|---|")
for case in CASES:
    print(row(case, ["target/go/bench", "-case", case]), flush=True)
print(row("reading one open file from eight threads", ["target/go/scheduling", "contend"]))
