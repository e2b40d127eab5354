//go:build go1.25

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// available reads a file that nearly fills a small machine. What was read can be dropped, and whoever asks how much memory
// is there is told so.
func available() {
	file, err := os.Open("big")
	check(err)
	n, err := io.Copy(io.Discard, file)
	fmt.Println(n, err)
	text, err := os.ReadFile("/proc/meminfo")
	check(err)
	kilobytes := map[string]int{}
	for _, line := range strings.Split(string(text), "\n") {
		var n int
		if name, rest, ok := strings.Cut(line, ":"); ok {
			fmt.Sscan(rest, &n)
			kilobytes[name] = n
		}
	}
	const much = 16 << 10
	fmt.Println(kilobytes["MemAvailable"] > kilobytes["MemFree"], kilobytes["Cached"]-kilobytes["Shmem"] > much,
		kilobytes["Inactive(file)"]+kilobytes["Active(file)"] > much, kilobytes["MemAvailable"] > much)
}
