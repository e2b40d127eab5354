package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

const pipeBytes = 65536

// spliceWakes lets a splice and a write wait for room in one pipe: whoever is woken hands the rest of the room on.
func spliceWakes() {
	f := temporary(string(make([]byte, 4096)))
	for round := 0; round < 20; round++ {
		r, w := pipe()
		syscall.Write(w, make([]byte, pipeBytes))
		done := make(chan string, 2)
		go func() {
			at := int64(0)
			n, name := splice(f, &at, w, nil, 4096, 0)
			done <- fmt.Sprint(n, " ", name)
		}()
		time.Sleep(2 * time.Millisecond)
		go func() {
			n, err := syscall.Write(w, make([]byte, 4096))
			done <- fmt.Sprint(n, " ", prog.Name(err))
		}()
		time.Sleep(2 * time.Millisecond)
		// Room for both at once.
		n, err := syscall.Read(r, make([]byte, 8192))
		if round == 0 {
			fmt.Println(n, err)
		}
		for i := 0; i < 2; i++ {
			select {
			case result := <-done:
				if round == 0 || result != "4096 ok" {
					fmt.Println(result)
				}
			case <-time.After(5 * time.Second):
				fmt.Println("round", round, "nobody woke it")
				os.Exit(1)
			}
		}
		syscall.Close(r)
		syscall.Close(w)
	}
}

// halfWritten closes a pipe's reader while a write that did not fit waits: it tells how much went, and of the broken pipe
// by a signal.
func halfWritten() {
	pipes := make(chan os.Signal, 10)
	signal.Notify(pipes, syscall.SIGPIPE)
	r, w := pipe()
	go func() {
		time.Sleep(20 * time.Millisecond)
		syscall.Close(r)
	}()
	var n int
	var err error
	prog.Undisturbed(func() { n, err = syscall.Write(w, make([]byte, 3*pipeBytes)) })
	fmt.Println(n, prog.Name(err))
	select {
	case got := <-pipes:
		fmt.Println(got)
	case <-time.After(2 * time.Second):
		fmt.Println("no signal")
	}
}
