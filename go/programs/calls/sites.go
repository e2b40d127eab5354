package main

import (
	"fmt"
	"syscall"
)

// Code that looks like a system call behind its number, and calls whose number comes from elsewhere: whoever looks for calls
// by their bytes must leave the first alone and find, or at least not break, the second.

// callBySharedCode makes getppid or getpid by one SYSCALL, to which a branch leads past the nearer number.
func callBySharedCode(parent bool) int

// callAfterOther makes getpid with an instruction between the number and SYSCALL that is encoded like a number.
func callAfterOther() int

// record has fields at offsets that are numbers of system calls; 1295 is 0f 05, the bytes of SYSCALL.
type record struct {
	_    [144]byte
	code int32
	wide int64
	half uint16
	list [8]int32
}

//go:noinline
func (r *record) set(i int) { r.code, r.wide, r.half, r.list[i] = 1295, 1295, 1295, 1295 }

//go:noinline
func (r *record) matches(i int) (bool, bool, bool, bool) {
	return r.code == 1295, r.wide == 1295, r.half == 1295, r.list[i] == 1295
}

//go:noinline
func (r *record) product() int32 { return r.code * 1295 }

//go:noinline
func constants(a, b, c, d uint64) uint64 {
	return (a ^ 0x050f_0000_0027) + (b ^ 0x050f_0000_0001) + (c ^ 0x050f_0000_0002) + (d ^ 0x050f_0000_0003)
}

func sites() {
	r := &record{}
	fmt.Println(r.matches(3))
	r.set(3)
	fmt.Println(r.matches(3))
	fmt.Println(r.product(), constants(1, 2, 3, 4))
	fmt.Println(callBySharedCode(false) == syscall.Getpid(), callBySharedCode(true) == syscall.Getppid(),
		callAfterOther() == syscall.Getpid())
}
