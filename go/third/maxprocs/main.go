// Maxprocs asks the cgroup files for a CPU quota, as services in containers do.
package main

import (
	"fmt"
	"runtime"

	"go.uber.org/automaxprocs/maxprocs"
)

func main() {
	undo, err := maxprocs.Set()
	now := runtime.GOMAXPROCS(0)
	fmt.Println(err, now >= 1 && now <= runtime.NumCPU())
	undo()
	fmt.Println(runtime.GOMAXPROCS(0) >= now)
}
