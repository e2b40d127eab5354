// Bench measures what a program asks of its operating system, and what it does without asking.
//
// It is the same executable on both sides of the comparison: `ringo bench` runs it as a Linux process and in ring 0,
// alternating, and compares the medians. Alone it prints one line a case: name, nanoseconds per operation.
//
//	bench              all cases
//	bench -list        their names
//	bench -case NAME   one (repeatable, by prefix)
//	bench -difference  as exactly as time can be told: for a machine whose clock counts instructions
//	bench -count N     N operations, without finding out how many fit into the time
//	bench -init        as the first process of a Linux guest (guest.go)
//	bench -serve       serves clients on other machines; bench -load ADDRESS is those clients (tap.go)
//	bench -hello       says hello, and ends; bench -idle TIME waits so long: what `ringo bench` looks at from outside
//
// A case whose operations are looked at one by one prints two lines more, NAME/p50 and NAME/p99: percentiles.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A benchmark does its operation n times. What it prepares first it does before it calls start.
type benchmark struct {
	name string
	run  func(n int, start func())
	kind kind
	// How much memory the machine must have, 0 if any does.
	memory uint64
}

// Threads that wait stay until the program's end, so those cases come last.
var benchmarks = joined(basicBenchmarks, threadBenchmarks, timingBenchmarks, memoryBenchmarks, networkBenchmarks, networkScaleBenchmarks(), scaleBenchmarks())

func joined(lists ...[]benchmark) (all []benchmark) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

type kind int

const (
	// What counts is how long the operations take together.
	together kind = iota
	// As well as how long each takes.
	latencies
	// What counts is by how much each is wrong.
	errors
)

// The operations of the measurement that runs, in ns, where they are looked at one by one.
var samples []float64

// What a benchmark does after it called stop is not measured.
var stopped time.Time

func stop() { stopped = time.Now() }

func sample(took time.Duration) { samples = append(samples, float64(took)) }

type names []string

func (n *names) String() string     { return strings.Join(*n, ",") }
func (n *names) Set(s string) error { *n = append(*n, s); return nil }

func main() {
	var wanted names
	list := flag.Bool("list", false, "print the names of the cases")
	length := flag.Duration("time", 200*time.Millisecond, "how long a measurement takes")
	difference := flag.Bool("difference", false, "subtract the time of n operations from that of 2n: what begins and ends a measurement cancels out")
	count := flag.Int("count", 0, "do the operation so many times")
	alone := flag.Bool("init", false, "be a Linux guest's first process")
	memory := flag.Uint64("memory", machineMemory(), "leave out cases that need a machine of more bytes")
	hello := flag.Bool("hello", false, "say so, and end")
	idle := flag.Duration("idle", -1, "wait so long")
	server := flag.Bool("serve", false, "serve clients on other machines")
	address := flag.String("address", "", "give the card this `ADDRESS`, if this is the first process")
	load := flag.String("load", "", "measure the server at this `ADDRESS`")
	flag.Var(&wanted, "case", "run the cases whose names begin with `NAME` (repeatable)")
	flag.Parse()
	if *alone {
		prepareGuest(*address)
		defer endGuest()
	}
	if *server {
		serveOutside()
	}
	if *load != "" {
		loadOutside(*load)
		return
	}
	if *hello {
		fmt.Println("hello")
		return
	}
	if *idle >= 0 {
		time.Sleep(*idle)
		return
	}
	for _, b := range benchmarks {
		if !selected(b.name, wanted) || b.memory > *memory {
			continue
		}
		if *list {
			fmt.Println(b.name)
			continue
		}
		if *count > 0 {
			report(b, once(b, *count)/float64(*count))
			continue
		}
		n, ns := measure(b, *length)
		if *difference {
			ns = differences(b, n)
			samples = nil
		}
		report(b, ns)
	}
}

func report(b benchmark, ns float64) {
	if b.kind != errors {
		fmt.Printf("%s\t%.2f\n", b.name, ns)
	}
	if b.kind != together && len(samples) > 0 {
		slices.Sort(samples)
		for _, percent := range []int{50, 99} {
			fmt.Printf("%s/p%d\t%.2f\n", b.name, percent, samples[(len(samples)-1)*percent/100])
		}
	}
}

// machineMemory is what the machine has; if that cannot be told, nothing is too large for it.
func machineMemory() uint64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return ^uint64(0)
	}
	return info.Totalram * uint64(info.Unit)
}

func selected(name string, wanted names) bool {
	for _, w := range wanted {
		if strings.HasPrefix(name, w) {
			return true
		}
	}
	return len(wanted) == 0
}

// measure finds how often the operation fits in the time, then returns that and its nanoseconds.
func measure(b benchmark, length time.Duration) (int, float64) {
	for n := 1; ; {
		took := once(b, n)
		if took >= float64(length)*0.8 || n >= 1<<40 {
			return n, took / float64(n)
		}
		// Towards the goal, but never by more than a hundredfold: the first operations are slow ones.
		next := int(float64(n) * float64(length) / (took + 1))
		n = max(n+1, min(next, n*100))
	}
}

// differences returns what an operation adds, in ns. Most cases do the same work each time; where two measurements disagree,
// because the collector or a random choice came into it, the median of five counts.
func differences(b benchmark, n int) float64 {
	var all []float64
	for len(all) < 5 {
		all = append(all, (once(b, 2*n)-once(b, n))/float64(n))
		if len(all) == 2 && math.Abs(all[0]-all[1]) < 0.01*all[0] {
			break
		}
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// once returns the nanoseconds of n operations.
func once(b benchmark, n int) float64 {
	runtime.GC()
	samples = samples[:0]
	var begin time.Time
	stopped = time.Time{}
	b.run(n, func() { begin = time.Now() })
	if stopped.IsZero() {
		stop()
	}
	return float64(stopped.Sub(begin).Nanoseconds())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
