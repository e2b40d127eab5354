package main

import (
	"fmt"
	"os"
	"syscall"
)

// deep stands at the bottom of a thousand directories, one in another, that are then removed, and lets go of the last.
func deep() {
	const levels = 1000
	top, err := os.Getwd()
	check(err)
	for n := 0; n < levels; n++ {
		check(syscall.Mkdir("a", 0o755))
		check(syscall.Chdir("a"))
	}
	bottom, err := os.Open(".")
	check(err)
	check(os.RemoveAll(top + "/a"))
	show("chdir", os.Chdir(top))
	_, err = bottom.Stat()
	show("stat", err)
	show("in it", syscall.Mkdirat(int(bottom.Fd()), "b", 0o755))
	show("close", bottom.Close())
	show("again", os.Mkdir("a", 0o755))
	fmt.Println("done")
}
