// Package prog is what the test programs share: a program is a set of named acts, the first argument picks one.
//
// What an act prints must be the same in any two runs on Linux: it says what was found to be so, not addresses or times.
package prog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sort"
	"syscall"
	"unsafe"
)

// Acts maps an act's name to what it does.
type Acts map[string]func()

// Main runs the act that the first argument names.
func Main(acts Acts) {
	if len(os.Args) > 1 {
		if act, ok := acts[os.Args[1]]; ok {
			act()
			return
		}
	}
	names := make([]string, 0, len(acts))
	for name := range acts {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintln(os.Stderr, "acts:", names)
	os.Exit(64)
}

// Must ends the program with a line that says where err came up, unless it is nil.
func Must(err error) {
	if err != nil {
		_, file, line, _ := runtime.Caller(1)
		fmt.Printf("%s:%d: %v\n", base(file), line, err)
		os.Exit(1)
	}
}

// Check ends the program unless ok.
func Check(ok bool, format string, args ...any) {
	if !ok {
		_, file, line, _ := runtime.Caller(1)
		fmt.Printf("%s:%d: %s\n", base(file), line, fmt.Sprintf(format, args...))
		os.Exit(1)
	}
}

func base(file string) string {
	for i := len(file) - 1; i >= 0; i-- {
		if file[i] == '/' {
			return file[i+1:]
		}
	}
	return file
}

// Name is the symbolic name of an error number: what two systems must agree on, free of paths.
func Name(err error) string {
	if err == nil {
		return "ok"
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		if number == 0 {
			return "ok"
		}
		if name, ok := names[number]; ok {
			return name
		}
		return fmt.Sprintf("errno %d", int(number))
	}
	if errors.Is(err, fs.ErrClosed) {
		return "closed"
	}
	return err.Error()
}

// Call makes a system call and gives its result and the name of its error.
//
//go:uintptrescapes
//go:noinline
func Call(number uintptr, args ...uintptr) (int, string) {
	var a [6]uintptr
	copy(a[:], args)
	n, _, errno := syscall.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return -1, Name(errno)
	}
	return int(n), "ok"
}

// Undisturbed runs f on a thread that the runtime's preemption signal cannot reach: what f waits in is not cut short by
// chance.
func Undisturbed(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const block, set = 0, 2 // SIG_BLOCK, SIG_SETMASK
	urgent, old := uint64(1)<<(syscall.SIGURG-1), uint64(0)
	mask := func(how uintptr, new, old *uint64) {
		_, name := Call(syscall.SYS_RT_SIGPROCMASK, how, uintptr(unsafe.Pointer(new)), uintptr(unsafe.Pointer(old)), 8)
		Check(name == "ok", "rt_sigprocmask: %s", name)
	}
	mask(block, &urgent, &old)
	defer mask(set, &old, nil)
	f()
}

// Show prints what Call gave.
func Show(what string, n int, name string) { fmt.Println(what, n, name) }

var names = map[syscall.Errno]string{
	syscall.E2BIG: "E2BIG", syscall.EACCES: "EACCES", syscall.EAGAIN: "EAGAIN", syscall.EBADF: "EBADF", syscall.EBUSY: "EBUSY",
	syscall.ECHILD: "ECHILD", syscall.EDOM: "EDOM", syscall.EEXIST: "EEXIST", syscall.EFAULT: "EFAULT", syscall.EFBIG: "EFBIG",
	syscall.EINTR: "EINTR", syscall.EINVAL: "EINVAL", syscall.EIO: "EIO", syscall.EISDIR: "EISDIR", syscall.ELOOP: "ELOOP",
	syscall.EMFILE: "EMFILE", syscall.EMLINK: "EMLINK", syscall.ENAMETOOLONG: "ENAMETOOLONG", syscall.ENODATA: "ENODATA",
	syscall.ENODEV: "ENODEV", syscall.ENOENT: "ENOENT", syscall.ENOEXEC: "ENOEXEC", syscall.ENOLCK: "ENOLCK", syscall.ENOMEM: "ENOMEM",
	syscall.ENOSPC: "ENOSPC", syscall.ENOSYS: "ENOSYS", syscall.ENOTDIR: "ENOTDIR", syscall.ENOTEMPTY: "ENOTEMPTY",
	syscall.ENOTSUP: "ENOTSUP", syscall.ENOTTY: "ENOTTY", syscall.ENXIO: "ENXIO", syscall.EOVERFLOW: "EOVERFLOW", syscall.EPERM: "EPERM",
	syscall.EPIPE: "EPIPE", syscall.ERANGE: "ERANGE", syscall.EROFS: "EROFS", syscall.ESPIPE: "ESPIPE", syscall.ESRCH: "ESRCH",
	syscall.ETIMEDOUT: "ETIMEDOUT", syscall.ETXTBSY: "ETXTBSY", syscall.EXDEV: "EXDEV", syscall.ENOTSOCK: "ENOTSOCK",
	syscall.EDESTADDRREQ: "EDESTADDRREQ", syscall.EAFNOSUPPORT: "EAFNOSUPPORT", syscall.EDEADLK: "EDEADLK",
}
