package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"ringo.dev/go/internal/prog"
)

// freshZero takes as many MiB as its argument says, and looks whether all of it is zero.
func freshZero() {
	mib, err := strconv.Atoi(os.Args[2])
	prog.Must(err)
	memory, err := syscall.Mmap(-1, 0, mib<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	prog.Must(err)
	wrong, zero := 0, make([]byte, page)
	for at := 0; at < len(memory); at += page {
		if !bytes.Equal(memory[at:at+page], zero) {
			wrong++
		}
		memory[at] = 1
	}
	fmt.Println("pages that were not zero:", wrong)
}
