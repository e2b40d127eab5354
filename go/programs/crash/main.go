// Crash tests how a program fails: panics recovered and not, faults, fatal errors of the runtime, tracebacks.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func breakpoint()
func undefined()
func divideOverflow()
func misalignedVector(p *byte)
func stringForwards(from, to *byte, n int)
func jump(at uintptr)

type node struct {
	pad  [4]int
	next *node
	val  int
}

//go:noinline
func nilNode() *node { return nil }

//go:noinline
func zero() int { return 0 }

//go:noinline
func at(address uintptr) *int { return *(**int)(unsafe.Pointer(&address)) }

// mapped returns one page with nothing accessible behind it.
func mapped(prot int) []byte {
	page, err := syscall.Mmap(-1, 0, 2*4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	prog.Must(err)
	prog.Must(syscall.Mprotect(page[4096:], syscall.PROT_NONE))
	prog.Must(syscall.Mprotect(page[:4096], prot))
	return page
}

func main() {
	prog.Main(prog.Acts{
		"recovered":      recovered,
		"recovered-many": recoveredMany,
		"nil":            func() { fmt.Println(nilNode().val) },
		"nil-write":      func() { nilNode().val = 1 },
		"nil-func":       func() { var f func(); f() },
		"nil-map":        func() { var m map[string]int; m["a"] = 1 },
		"divide":         func() { fmt.Println(1 / zero()) },
		"index":          func() { fmt.Println([]int{1, 2, 3}[3+zero()]) },
		"error":          func() { panic(fmt.Errorf("wrapped: %w", errors.New("cause"))) },
		"goroutine":      func() { go func() { panic("in a goroutine") }(); select {} },
		"nested":         nested,
		"bad-pointer":    func() { fmt.Println(*at(0x7000dead0000)) },
		"bad-write":      func() { *at(0x7000dead0000) = 1 },
		"non-canonical":  func() { fmt.Println(*at(0x1234567890abcdef)) },
		"on-fault":       panicOnFault,
		"write-text":     func() { *at(reflect.ValueOf(nilNode).Pointer()) = 0 },
		"execute-data":   func() { page := mapped(syscall.PROT_READ); jump(uintptr(unsafe.Pointer(&page[0]))) },
		"jump-nowhere":   func() { jump(0x7000dead0000) },
		"bus":            bus,
		"call-511":       call511,
		"misaligned":     func() { page := mapped(syscall.PROT_READ); misalignedVector(&page[8]) },
		"breakpoint":     breakpoint,
		"undefined":      undefined,
		"overflow":       divideOverflow,
		"string-fault":   stringFault,
		"stack":          func() { debug.SetMaxStack(32 << 20); fmt.Println(deep(1)) },
		"deadlock":       func() { <-make(chan int) },
		"deadlock-mutex": func() { var m sync.Mutex; m.Lock(); m.Lock() },
		"unlock":         func() { var m sync.Mutex; m.Unlock() },
		"closed-channel": func() { c := make(chan int); close(c); c <- 1 },
		"negative-wait":  func() { var wg sync.WaitGroup; wg.Done() },
		"throw-in-defer": func() { defer func() { panic("second") }(); panic("first") },
		"exit-in-panic":  func() { defer os.Exit(11); panic("not shown") },
		"goexit-panic":   func() { defer func() { panic("after Goexit") }(); runtime.Goexit() },
		"long-message":   func() { panic(strings.Repeat("long ", 20000)) },
		"too-large":      func() { fmt.Println(len(make([]byte, 1<<62*(1+zero())))) },
		"threads":        threads,
	})
}

func deep(n int) int { return deep(n+1) + 1 }

func try(name string, act func()) {
	defer func() {
		failure := recover()
		if err, ok := failure.(runtime.Error); ok {
			fmt.Printf("%s: %v\n", name, err)
			return
		}
		fmt.Printf("%s: %v (no runtime error)\n", name, failure)
	}()
	act()
}

func recovered() {
	try("nil read", func() { _ = nilNode().val })
	try("nil write", func() { nilNode().next = nil })
	try("nil call", func() { var f func(); f() })
	try("nil interface", func() { var e error; _ = e.Error() })
	try("divide", func() { fmt.Println(1 / zero()) })
	try("remainder", func() { fmt.Println(1 % zero()) })
	try("divide overflow", divideOverflow)
	try("index", func() { fmt.Println([]int{1, 2, 3}[3+zero()]) })
	try("slice", func() { fmt.Println([]int{1, 2, 3}[2+zero() : 1]) })
	try("assertion", func() { var e any = 1; fmt.Println(e.(string)) })
	try("nil map", func() { var m map[string]int; m["a"] = 1 })
	try("length", func() { fmt.Println(len(make([]byte, zero()-1))) })
	try("array pointer", func() { fmt.Println(len([]byte("abc")), [4]byte([]byte("abc")[:3+zero()])) })
	try("large offset", func() { var p *[1 << 30]byte; _ = p[1<<29+zero()] })
}

// recoveredMany does on several threads at once what has to be right each time.
func recoveredMany() {
	var wg sync.WaitGroup
	total := make(chan int, 8)
	for i := 0; i < 8; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			runtime.LockOSThread()
			n := 0
			for i := 0; i < 2000; i++ {
				func() {
					defer func() {
						if recover() != nil {
							n++
						}
					}()
					if i%2 == 0 {
						nilNode().val = i
					} else {
						nilNode().val /= zero()
					}
				}()
			}
			total <- n
		}()
	}
	wg.Wait()
	close(total)
	sum := 0
	for n := range total {
		sum += n
	}
	fmt.Println(sum, "of 16000 recovered")
}

func nested() {
	defer func() {
		fmt.Println("outer:", recover())
		defer func() { fmt.Println("last:", recover()) }()
		nilNode().val = 1
	}()
	defer func() {
		fmt.Println("inner:", recover())
		panic("again")
	}()
	fmt.Println(1 / zero())
}

func panicOnFault() {
	debug.SetPanicOnFault(true)
	show := func(name string, act func(), want uintptr) {
		defer func() {
			failure := recover()
			where, ok := failure.(interface{ Addr() uintptr })
			fmt.Println(name, failure != nil, ok && where.Addr() == want)
		}()
		act()
	}
	show("unmapped read", func() { _ = *at(0x7000dead0000) }, 0x7000dead0000)
	show("unmapped write", func() { *at(0x7000dead0123) = 1 }, 0x7000dead0123)
	page := mapped(syscall.PROT_READ)
	show("read-only write", func() { page[7] = 1 }, uintptr(unsafe.Pointer(&page[7])))
	show("no access", func() { page[5000] = 1 }, uintptr(unsafe.Pointer(&page[5000])))
	prog.Must(syscall.Munmap(page))
	show("after unmap", func() { page[0] = 1 }, uintptr(unsafe.Pointer(&page[0])))
	var zeroes [16]byte
	show("across pages", func() { copy(unsafe.Slice((*byte)(unsafe.Pointer(at(0x7000deadfff8))), 16), zeroes[:]) }, 0x7000deadfff8)
}

func bus() {
	file, err := os.CreateTemp("", "bus")
	prog.Must(err)
	prog.Must(os.Remove(file.Name()))
	prog.Must(file.Truncate(8192))
	data, err := syscall.Mmap(int(file.Fd()), 0, 8192, syscall.PROT_READ, syscall.MAP_SHARED)
	prog.Must(err)
	fmt.Println(data[5000])
	prog.Must(file.Truncate(4096))
	fmt.Println(data[0])
	fmt.Println(data[5000])
}

func stringFault() {
	debug.SetPanicOnFault(true)
	page := mapped(syscall.PROT_READ | syscall.PROT_WRITE)
	defer func() {
		failure := recover().(interface{ Addr() uintptr })
		same := 0
		for _, b := range page[4000:4096] {
			if b == 7 {
				same++
			}
		}
		fmt.Println(same, failure.Addr() == uintptr(unsafe.Pointer(&page[0]))+4096)
	}()
	source := make([]byte, 200)
	for i := range source {
		source[i] = 7
	}
	stringForwards(&source[0], &page[4000], 200)
}

// threads panics while others hold threads and sleep: the end must not wait for them.
func threads() {
	for i := 0; i < 20; i++ {
		go func() {
			runtime.LockOSThread()
			time.Sleep(time.Hour)
		}()
	}
	time.Sleep(20 * time.Millisecond)
	panic("the end")
}

// A number that no system call has: the kernel's tests make it a crash of the kernel itself.
//
//go:noinline
func call511() {
	fmt.Println("before")
	_, _, err := syscall.RawSyscall(511, 0, 0, 0)
	fmt.Println(err)
}
