// Bench measures what a program asks of its operating system, and what it does without asking.
//
// It is the same executable on both sides of the comparison: `ringo bench` runs it as a Linux process and in ring 0,
// alternating, and compares the medians. Alone it prints one line a case: name, nanoseconds per operation.
//
//	bench             all cases
//	bench -list       their names
//	bench -case NAME  one (repeatable, by prefix)
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// A benchmark does its operation n times. What it prepares first it does before it calls start.
type benchmark struct {
	name string
	run  func(n int, start func())
}

type names []string

func (n *names) String() string     { return strings.Join(*n, ",") }
func (n *names) Set(s string) error { *n = append(*n, s); return nil }

func main() {
	var wanted names
	list := flag.Bool("list", false, "print the names of the cases")
	length := flag.Duration("time", 200*time.Millisecond, "how long a measurement takes")
	flag.Var(&wanted, "case", "run the cases whose names begin with `NAME` (repeatable)")
	flag.Parse()
	for _, b := range benchmarks {
		if !selected(b.name, wanted) {
			continue
		}
		if *list {
			fmt.Println(b.name)
			continue
		}
		fmt.Printf("%s\t%.2f\n", b.name, measure(b, *length))
	}
}

func selected(name string, wanted names) bool {
	for _, w := range wanted {
		if strings.HasPrefix(name, w) {
			return true
		}
	}
	return len(wanted) == 0
}

// measure finds how often the operation fits in the time, then returns its nanoseconds.
func measure(b benchmark, length time.Duration) float64 {
	for n := 1; ; {
		runtime.GC()
		var begin time.Time
		b.run(n, func() { begin = time.Now() })
		took := time.Since(begin)
		if took >= length*8/10 || n >= 1<<40 {
			return float64(took.Nanoseconds()) / float64(n)
		}
		// Towards the goal, but never by more than a hundredfold: the first operations are slow ones.
		next := int(float64(n) * float64(length) / float64(took+1))
		n = max(n+1, min(next, n*100))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
