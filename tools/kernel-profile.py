#!/usr/bin/env python3
"""Where the kernel's instructions go in one case of go/bench: a histogram by function, or by source line.

    tools/kernel-profile.py CASE [COUNT]            by function, inlined ones apart
    tools/kernel-profile.py --lines CASE [COUNT]    by source line

QEMU runs the case COUNT and then 2 COUNT times and logs each block of kernel code that it executes; what is printed is the
difference, for one operation. Wants target/release/ringo, go, nm and addr2line (binutils).
"""
import collections, glob, gzip, os, re, subprocess, sys, tempfile, threading

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KERNEL = 0xFFFFFFFF80000000


def build(folder):
    program = f"{folder}/bench"
    subprocess.run(["go", "-C", f"{TOP}/go", "build", "-o", program, "./bench"], check=True, env={**os.environ, "CGO_ENABLED": "0"})
    newest = max(glob.glob(f"{TOP}/target/release/build/ringo-*/out/kernel.debug.gz"), key=os.path.getmtime)
    kernel = f"{folder}/kernel"
    with gzip.open(newest) as packed, open(kernel, "wb") as unpacked:
        unpacked.write(packed.read())
    return program, kernel


def run(folder, program, case, count):
    """Executions of each block, and the addresses of its instructions."""
    log = f"{folder}/log"
    os.mkfifo(log)
    qemu = f"{folder}/qemu"
    with open(qemu, "w") as script:
        script.write(f'#!/bin/sh\nexec qemu-system-x86_64 "$@" -d exec,nochain,in_asm -dfilter {KERNEL:#x}..0xffffffffffffffff -D {log}\n')
    os.chmod(qemu, 0o755)
    blocks, executed = {}, collections.Counter()

    def read():
        block = None
        trace = re.compile(r"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")
        code = re.compile(r"^0x([0-9a-f]+):")
        with open(log, errors="replace") as lines:
            for line in lines:
                if found := trace.match(line):
                    executed[int(found[1], 16)] += 1
                    block = None
                elif line.startswith("IN:"):
                    block = []
                elif block is not None and (found := code.match(line)):
                    address = int(found[1], 16)
                    block.append(address)
                    blocks[block[0]] = block

    reader = threading.Thread(target=read)
    reader.start()
    subprocess.run([f"{TOP}/target/release/ringo", "run", "--icount", "--memory", "512M", program, "-case", case, "-count", str(count)],
                   check=True, stdout=subprocess.DEVNULL, env={**os.environ, "RINGO_QEMU": qemu})
    reader.join()
    os.unlink(log)
    per_instruction = collections.Counter()
    for start, times in executed.items():
        for address in blocks.get(start, [start]):
            per_instruction[address] += times
    return per_instruction


def names(kernel, addresses, lines):
    """Of each address the innermost function, inlined or not, or the source line."""
    asked = subprocess.run(["addr2line", "-e", kernel, "-f", "-i", "-C", "-a"], input="\n".join(map(hex, addresses)), capture_output=True, text=True, check=True).stdout
    result, current = {}, None
    for line in asked.splitlines():
        if line.startswith("0x"):
            current, part = int(line, 16), []
            result[current] = part
        else:
            part.append(line)
    def name(parts):
        function, place = parts[0], parts[1]
        place = re.sub(r"^.*/(kernel|crates|library)/", r"\1/", place).split(" (")[0]
        return f"{place}  {function}" if lines else function
    return {address: name(parts) for address, parts in result.items()}


def main():
    arguments = [a for a in sys.argv[1:] if a != "--lines"]
    lines = "--lines" in sys.argv
    if not arguments:
        sys.exit(__doc__)
    case, count = arguments[0], int(arguments[1]) if len(arguments) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        program, kernel = build(folder)
        once, twice = (run(folder, program, case, n) for n in (count, 2 * count))
        difference = {a: twice[a] - once[a] for a in twice if twice[a] != once[a]}
        named = names(kernel, list(difference), lines)
        total = collections.Counter()
        for address, times in difference.items():
            total[named[address]] += times
    print(f"{sum(total.values()) / count:10.1f}  kernel instructions for each {case}")
    for name, times in total.most_common(200):
        if abs(times) >= count / 2:
            print(f"{times / count:10.1f}  {name}")


main()
