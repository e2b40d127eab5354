package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"ringo.dev/go/internal/prog"
)

// spawn looks for a process, starts a program, and ends with the status that it is given.
func spawn() {
	process, err := os.FindProcess(os.Getpid())
	fmt.Println(process != nil, prog.Name(err))
	status, err := strconv.Atoi(os.Args[2])
	prog.Must(err)
	if len(os.Args) > 3 {
		fmt.Println(prog.Name(exec.Command("/bin/true").Run()))
	}
	os.Exit(status)
}
