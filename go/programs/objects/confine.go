package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// On Linux the calls are made by a process that can reach nothing of the machine: it is of an unprivileged user (65534 where
// root starts it), in user, mount, process, network, IPC and host-name namespaces of its own, its root is an empty file
// system of RAM, and it has no descriptor but the three streams. What of that cannot be had ends the program.

// inside is the argument of the process in the namespaces.
const inside = "inside"

// confine comes back in the process that makes the calls. In ring 0 that is this one: the VM is the confinement.
func confine() {
	var name syscall.Utsname
	prog.Must(syscall.Uname(&name))
	if version := chars(name.Version[:]); strings.Contains(version, "Ringo") {
		empty()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == inside {
		os.Args = append(os.Args[:1], os.Args[2:]...)
		settle()
		return
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 65534, 65534
	}
	command := exec.Command("/proc/self/exe", append([]string{inside}, os.Args[1:]...)...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
		Credential:  &syscall.Credential{NoSetGroups: true},
		Pdeathsig:   syscall.SIGKILL,
	}
	err := command.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		os.Exit(exit.ExitCode())
	}
	prog.Must(err)
	os.Exit(0)
}

// settle checks the namespaces, takes the root away and the network into use.
func settle() {
	mapping, err := os.ReadFile("/proc/self/uid_map")
	prog.Must(err)
	fields := bytes.Fields(mapping)
	prog.Check(len(fields) == 3 && string(fields[1]) != "0" && string(fields[2]) == "1", "not in a user namespace of its own: %s", mapping)
	prog.Check(os.Getpid() == 1, "not in a process namespace of its own")
	prog.Must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	prog.Must(syscall.Mount("none", "/tmp", "tmpfs", 0, "size=64m"))
	prog.Must(syscall.Chroot("/tmp"))
	empty()
	_, errno := prog.Call(436, 3, 1<<32-1, 4) // close_range: when the program starts others, which this one does not
	prog.Check(errno == "ok", "close_range: %s", errno)
	loopback()
	if os.Args[1] == "sockets" {
		plain()
	}
}

// plain gives up the right to raw sockets, which ring 0 does not give.
func plain() {
	const version, raw, own = 0x20080522, 13, 0 // _LINUX_CAPABILITY_VERSION_3, CAP_NET_RAW
	header := [2]uint32{version, own}
	var sets [6]uint32
	for _, number := range []uintptr{syscall.SYS_CAPGET, syscall.SYS_CAPSET} {
		_, errno := prog.Call(number, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)))
		prog.Check(errno == "ok", "capabilities: %s", errno)
		sets[0] &^= 1 << raw
	}
}

// empty makes an empty directory the working directory; on Linux it is the root.
func empty() {
	prog.Must(os.MkdirAll("/work", 0o755))
	prog.Must(os.Chdir("/work"))
}

// loopback is brought up: a new network namespace has it down.
func loopback() {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	prog.Must(err)
	defer syscall.Close(fd)
	var request [40]byte
	copy(request[:], "lo")
	request[16] = syscall.IFF_UP
	_, errno := prog.Call(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request[0])))
	prog.Check(errno == "ok", "lo: %s", errno)
}

func chars(list []int8) string {
	var b []byte
	for _, c := range list {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}
