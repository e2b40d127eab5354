package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// Of futex(2).
const (
	futexWait    = 0
	futexWake    = 1
	futexRequeue = 3
	futexPrivate = 128
)

func mapAt(fd uintptr, flags, length, offset uintptr) uintptr {
	at, errno := prog.Call(syscall.SYS_MMAP, 0, length, syscall.PROT_READ|syscall.PROT_WRITE, flags, fd, offset)
	prog.Check(errno == "ok", "mmap: %s", errno)
	return uintptr(at)
}

// sharedFutex waits at one address and wakes at another: words are known by their place in a file.
func sharedFutex() {
	name := []byte("words\x00")
	fd, errno := prog.Call(319, uintptr(unsafe.Pointer(&name[0])), 0) // memfd_create
	prog.Check(errno == "ok", "memfd_create: %s", errno)
	prog.Must(syscall.Ftruncate(fd, 2*page))
	other, errno := prog.Call(319, uintptr(unsafe.Pointer(&name[0])), 0)
	prog.Check(errno == "ok", "memfd_create: %s", errno)
	prog.Must(syscall.Ftruncate(other, 2*page))
	const shared, private = syscall.MAP_SHARED, syscall.MAP_PRIVATE
	first := mapAt(uintptr(fd), shared, 2*page, 0)
	second := mapAt(uintptr(fd), shared, 2*page, 0)
	behind := mapAt(uintptr(fd), shared, page, page)
	copied := mapAt(uintptr(fd), private, 2*page, 0)
	another := mapAt(uintptr(other), shared, 2*page, 0)
	anonymous := mapAt(^uintptr(0), shared|syscall.MAP_ANONYMOUS, page, 0)
	alone := mapAt(^uintptr(0), private|syscall.MAP_ANONYMOUS, page, 0)
	for _, at := range []uintptr{first, second, behind, copied, another, anonymous, alone} {
		*(*uint32)(unsafe.Pointer(at + 64)) = 0
	}
	for _, try := range []struct {
		what       string
		wait, wake uintptr
		how, with  uintptr
	}{
		{"same", first, first, 0, 0},
		{"twice mapped", first, second, 0, 0},
		{"second page", second + page, behind, 0, 0},
		{"first page", second, behind, 0, 0},
		{"private copy", first, copied, 0, 0},
		{"other file", first, another, 0, 0},
		{"private by another address", first, second, futexPrivate, futexPrivate},
		{"private woken as shared", first, first, futexPrivate, 0},
		{"shared woken as private", second, second, 0, futexPrivate},
		{"anonymous", anonymous, anonymous, 0, 0},
		{"alone", alone, alone, 0, 0},
		{"alone, woken as private", alone, alone, 0, futexPrivate},
	} {
		fmt.Println(try.what, wakeUp(try.wait+64, try.how, func() int {
			n, _ := prog.Call(syscall.SYS_FUTEX, try.wake+64, futexWake|try.with, 1)
			return n
		}))
	}
	fmt.Println("moved", wakeUp(first+64, 0, func() int {
		n, _ := prog.Call(syscall.SYS_FUTEX, second+64, futexRequeue, 0, 1, alone+64)
		if n == 1 {
			n, _ = prog.Call(syscall.SYS_FUTEX, alone+64, futexWake, 1)
		}
		return n
	}))
}

// wakeUp has a thread wait on a word and says whether wake reached it.
func wakeUp(word, how uintptr, wake func() int) (woken bool) {
	ended, tid := make(chan bool), make(chan int, 1)
	go func() {
		runtime.LockOSThread()
		tid <- syscall.Gettid()
		for {
			limit := syscall.Timespec{Sec: 30}
			_, errno := prog.Call(syscall.SYS_FUTEX, word, futexWait|how, 0, uintptr(unsafe.Pointer(&limit)))
			if errno == "ok" {
				break
			}
		}
		close(ended)
	}()
	<-tid
	// It waits soon; whom nothing reaches for a while is not reached.
	for try := 0; try < 30 && !woken; try++ {
		time.Sleep(10 * time.Millisecond)
		woken = wake() == 1
	}
	if !woken {
		for n := 0; n != 1; n, _ = prog.Call(syscall.SYS_FUTEX, word, futexWake|how, 1) {
			time.Sleep(time.Millisecond)
		}
	}
	<-ended
	return woken
}

// farPages touches a page in each of many gigabytes, one after the other: what the tables for one took is there for the next.
func farPages() {
	const count, far = 20000, 1 << 30
	for n := uintptr(0); n < count; n++ {
		want := 0x1000_0000_0000 + n*far
		at, errno := prog.Call(syscall.SYS_MMAP, want, page, syscall.PROT_READ|syscall.PROT_WRITE,
			syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|0x100000, ^uintptr(0), 0) // MAP_FIXED_NOREPLACE
		prog.Check(errno == "ok" && uintptr(at) == want, "mmap: %s", errno)
		word := (*uintptr)(unsafe.Pointer(want))
		prog.Check(*word == 0, "page %d is not empty", n)
		*word = n
		_, errno = prog.Call(syscall.SYS_MUNMAP, want, page)
		prog.Check(errno == "ok", "munmap: %s", errno)
	}
	fmt.Println("pages:", count)
}
