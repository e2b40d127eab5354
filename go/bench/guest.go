package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"
)

// guestEnd is what `ringo bench` waits for on the guest's serial line.
const guestEnd = "bench: end of the guest"

// prepareGuest does for a Linux guest what its distribution's init would: drivers, the file systems that Go reads, a /tmp in
// RAM, loopback, and an address for the card if there is one.
func prepareGuest(address string) {
	// In the order of their names.
	modules, err := filepath.Glob("/modules/*.ko")
	check(err)
	for _, name := range modules {
		loadModule(name)
	}
	for _, at := range []struct{ kind, path string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}} {
		check(os.MkdirAll(at.path, 0o755))
		check(os.NewSyscallError("mount", syscall.Mount(at.kind, at.path, at.kind, 0, "")))
	}
	// What systemd gives services.
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 1 << 19, Max: 1 << 19}))
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	check(err)
	defer syscall.Close(socket)
	up := syscall.IFF_UP | syscall.IFF_RUNNING
	configure(socket, "lo", syscall.SIOCSIFFLAGS, []byte{byte(up)})
	if address != "" {
		prefix, err := netip.ParsePrefix(address)
		check(err)
		set := func(request uintptr, ip []byte) {
			configure(socket, "eth0", request, append([]byte{syscall.AF_INET, 0, 0, 0}, ip...))
		}
		set(syscall.SIOCSIFADDR, prefix.Addr().AsSlice())
		set(syscall.SIOCSIFNETMASK, net.CIDRMask(prefix.Bits(), 32))
		configure(socket, "eth0", syscall.SIOCSIFFLAGS, []byte{byte(up)})
	}
}

func loadModule(name string) {
	file, err := os.Open(name)
	check(err)
	defer file.Close()
	none := [1]byte{}
	const finitModule = 313
	if _, _, errno := syscall.Syscall(finitModule, file.Fd(), uintptr(unsafe.Pointer(&none)), 0); errno != 0 {
		check(os.NewSyscallError("finit_module "+name, errno))
	}
}

// configure makes a request about an interface, of which a struct ifreq has the name and then this.
func configure(socket int, name string, request uintptr, value []byte) {
	var ifreq [40]byte
	copy(ifreq[:], name)
	copy(ifreq[syscall.IFNAMSIZ:], value)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), request, uintptr(unsafe.Pointer(&ifreq))); errno != 0 {
		check(os.NewSyscallError("ioctl for "+name, errno))
	}
}

// endGuest says so, and stays: a first process that ends is a panic of its kernel.
func endGuest() {
	fmt.Println(guestEnd)
	for {
		time.Sleep(time.Hour)
	}
}
