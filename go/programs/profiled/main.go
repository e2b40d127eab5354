// Profiled has something to be found in a profile: "work" computes on two threads and writes to /dev/null on one of them;
// "killed" is then ended by a signal; "base" makes system calls with no frame pointer in BP.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

//go:noinline
func compute(n int) int {
	sum := 0
	for i := 0; i < n; i++ {
		sum += i*i ^ sum
	}
	return sum
}

//go:noinline
func writeNothing(null *os.File, n int) {
	line := []byte("nothing\n")
	for i := 0; i < n; i++ {
		null.Write(line)
	}
}

func callsWithoutBase(n int)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "base" {
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			callsWithoutBase(10_000)
		}
		fmt.Println("called")
		return
	}
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			compute(100_000)
		}
	}()
	end := time.Now().Add(time.Second)
	for time.Now().Before(end) {
		writeNothing(null, 1000)
		compute(1000)
	}
	fmt.Println("worked")
	if len(os.Args) > 1 && os.Args[1] == "killed" {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}
