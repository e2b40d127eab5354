package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// guestEnd is what `ringo bench` waits for on the guest's serial line.
const guestEnd = "bench: end of the guest"

// prepareGuest does for a Linux guest what its distribution's init would: the file systems that Go reads, a /tmp in RAM,
// loopback.
func prepareGuest() {
	for _, at := range []struct{ kind, path string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}} {
		check(os.MkdirAll(at.path, 0o755))
		check(os.NewSyscallError("mount", syscall.Mount(at.kind, at.path, at.kind, 0, "")))
	}
	// What systemd gives services.
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 1 << 19, Max: 1 << 19}))
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	check(err)
	defer syscall.Close(socket)
	// struct ifreq: the name, then the flags.
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{name: [syscall.IFNAMSIZ]byte{'l', 'o'}, flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		check(os.NewSyscallError("SIOCSIFFLAGS", errno))
	}
}

// endGuest says so, and stays: a first process that ends is a panic of its kernel.
func endGuest() {
	fmt.Println(guestEnd)
	for {
		time.Sleep(time.Hour)
	}
}
