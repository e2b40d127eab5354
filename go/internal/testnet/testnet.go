// Package testnet is what programs share that make a network of their own: a namespace, the interface vm0 in it, and at the
// interface's other end a server, in a VM or as a Linux process.
package testnet

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

// Host is the clients' end of the network, Guest the server's.
const (
	Host  = "192.0.2.1/24"
	Guest = "192.0.2.2/24"
)

const inside = "TESTNET_INSIDE"

// Enter runs this program again, as root of a network namespace of its own; false: that has been done, and this is the program
// in there.
func Enter() bool {
	if os.Getenv(inside) != "" {
		return false
	}
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), inside+"=1")
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := command.Run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return true
}

// IP is ip(8).
func IP(words string) {
	said, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput()
	prog.Check(err == nil, "ip %s: %s", words, said)
}

// Start makes vm0 and starts the server: a command that gets it as a tap interface, or for "linux" this program with the
// argument serve. What it gives ends the server.
func Start(command []string) (end func()) {
	linux := command[0] == "linux"
	server := exec.Command(command[0], command[1:]...)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if linux {
		self, err := os.Executable()
		prog.Must(err)
		script := "until ip link set veth1 up 2>/dev/null; do sleep 0.05; done; ip address add " + Guest + " dev veth1; exec " + self + " serve"
		server = exec.Command("sh", "-c", script)
		server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNET}
	} else {
		IP("tuntap add vm0 mode tap")
	}
	server.Stdout, server.Stderr = os.Stderr, os.Stderr
	prog.Must(server.Start())
	if linux {
		IP(fmt.Sprintf("link add vm0 type veth peer name veth1 netns %d", server.Process.Pid))
	}
	return func() {
		server.Process.Signal(syscall.SIGTERM)
		server.Wait()
	}
}

// Await waits until somebody takes connections at address.
func Await(address string) {
	var err error
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(50 * time.Millisecond) {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", address, 5*time.Second); err == nil {
			c.Close()
			return
		}
	}
	prog.Must(err)
}

// MemoryInUse is the machine's memory in use, in KiB.
func MemoryInUse() (used int) {
	file, err := os.Open("/proc/meminfo")
	prog.Must(err)
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var count int
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fmt.Sscan(value, &count)
			switch name {
			case "MemTotal":
				used += count
			case "MemFree":
				used -= count
			}
		}
	}
	return used
}
