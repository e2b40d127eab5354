package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// Called by the kernel alone.
func handler()
func restorer()

func addresses() (handler, restorer uintptr)
func raise(pid, tid, signal uintptr) int
func sse(op, mxcsr uint64)
func fpu(op, control uint64, call uintptr)
func step()
func stepCall() uintptr
func backwards(fd int, buffer *byte, length int) (n int)
func misaligned(fd int, buffer *byte, length int) (n int)
func modes(n int, wide bool) int

// What the handler starts with, and what it finds of the interrupted state.
var seen struct {
	flags, mxcsr, control, x0, x15, code, address, count    uint64
	interruptedControl, interruptedMXCSR, interruptedStatus uint64
}

// So many steps are taken.
var steps uint64

// handle installs the handler in assembly for a signal. From here on it is not Go's.
func handle(s syscall.Signal) {
	handler, restorer := addresses()
	const SA_SIGINFO, SA_RESTORER, SA_ONSTACK = 4, 0x04000000, 0x08000000
	action := [4]uint64{uint64(handler), SA_SIGINFO | SA_RESTORER | SA_ONSTACK, uint64(restorer), 0}
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	prog.Check(e == 0, "rt_sigaction: %v", e)
}

// fresh looks at the state a handler starts with, and whether the interrupted one comes back.
func fresh() {
	prog.Undisturbed(func() {
		handle(syscall.SIGUSR2)
		for i := 0; i < 3; i++ {
			changed := raise(uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGUSR2))
			fmt.Printf("handler: mxcsr %#x control %#x x0 %#x x15 %#x trap and direction %#x\n",
				seen.mxcsr, seen.control, seen.x0, seen.x15, seen.flags&0x500)
			fmt.Printf("interrupted: mxcsr %#x control %#x; changed: %d\n", seen.interruptedMXCSR&0xffc0, seen.interruptedControl, changed)
		}
	})
}

func showException(what string) {
	fmt.Println(what, "code", seen.code, "count", seen.count, "address", seen.address != 0,
		fmt.Sprintf("mxcsr %#x control %#x", seen.mxcsr, seen.control))
}

// simd raises floating-point exceptions that are not masked.
func simd() {
	prog.Undisturbed(func() {
		handle(syscall.SIGFPE)
		for op, what := range []string{"division", "invalid", "overflow", "underflow", "inexact"} {
			sse(uint64(op), 0x0000)
			showException("sse " + what)
		}
		sse(4, 0x1f80)
		showException("sse masked")
		fpu(2, 0x340, 0)
		showException("x87 denormal")
	})
}

// pending raises those of the x87, which come with its next instruction: it waits while the thread sleeps and others run.
func pending() {
	prog.Undisturbed(func() {
		handle(syscall.SIGFPE)
		for op, what := range []string{"division", "invalid"} {
			fpu(uint64(op), 0x340, 0)
			showException("x87 " + what)
			fpu(uint64(op), 0x340, 1)
			showException("x87 " + what + " after a sleep")
		}
		fpu(0, 0x37f, 1)
		showException("x87 masked")
	})
}

// float panics by an exception that Go's own handler takes.
func float() {
	defer func() { fmt.Println("recovered:", recover()) }()
	runtime.LockOSThread()
	sse(0, 0x1d80)
}

// stepping single-steps a few instructions, and over a call.
func stepping() {
	prog.Undisturbed(func() {
		handle(syscall.SIGTRAP)
		for _, n := range []uint64{1, 3, 5} {
			steps, seen.count = n, 0
			step()
			fmt.Println("steps", seen.count, "code", seen.code, "trap flag in the handler", seen.flags>>8&1)
		}
		pid := stepCall()
		fmt.Println("stepped over getpid", int(pid) == os.Getpid())
	})
}

// flagsInCalls makes calls with flags set that kernels do not expect of their own code.
func flagsInCalls() {
	r, w, err := os.Pipe()
	prog.Must(err)
	want := make([]byte, 3000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	for _, f := range []func(int, *byte, int) int{backwards, misaligned} {
		_, err = w.Write(want)
		prog.Must(err)
		got := make([]byte, 4096)
		n := f(int(r.Fd()), &got[1], 4000)
		fmt.Println(n, n == len(want) && string(got[1:1+n]) == string(want), got[0], got[1+len(want)])
	}
}

// rareModes keeps modes whose registers are otherwise in their initial state.
func rareModes() {
	wide := has256()
	under(
		func(uint64) int { return told("modes", modes(3000, wide)) },
		func(uint64) int { return told("modes", modes(3000, false)) },
	)
}

// told says what was lost, and where: the count alone would not.
func told(where string, lost int) int {
	if lost != 0 {
		println("lost:", where, lost)
	}
	return lost
}
