// Lossy is a server and its clients with a bad line between them: a relay drops, repeats and reorders their packets, and every
// byte must arrive all the same.
//
//	lossy serve                               the server: exchanges streams, each side checking what it gets
//	lossy run [OPTIONS] COMMAND [ARGUMENT]... makes a network namespace; COMMAND is the server, which gets the interface
//	                                          vm0 (`ringo run --net tap:vm0 --ip 192.0.2.2/24`), here are the clients
//	lossy run [OPTIONS] linux                 the same with the server a Linux process
//
// What happens to which packet is decided by a seed; when packets come is not, so no two runs are the same.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

const (
	inside = "LOSSY_INSIDE"
	host   = "192.0.2.1/24"
	guest  = "192.0.2.2/24"
	server = "192.0.2.2:7000"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		serve()
		return
	}
	flags := flag.NewFlagSet("lossy run", flag.ExitOnError)
	length := flags.Duration("time", 5*time.Second, "how long")
	connections := flags.Int("connections", 8, "how many at once")
	bulk := flags.Bool("bulk", false, "measure one long stream each way instead")
	line := line{}
	flags.Float64Var(&line.lost, "lost", 1, "packets in a hundred that are dropped")
	flags.Float64Var(&line.repeated, "repeated", 1, "packets in a hundred that come twice")
	flags.Float64Var(&line.late, "late", 2, "packets in a hundred that come after up to eight others")
	flags.DurationVar(&line.delay, "delay", 0, "how long a packet takes, each way")
	flags.Int64Var(&line.seed, "seed", 1, "decides which")
	prog.Check(len(os.Args) > 2 && os.Args[1] == "run", "lossy serve, or lossy run COMMAND")
	flags.Parse(os.Args[2:])
	prog.Check(flags.NArg() > 0, "no command")
	if os.Getenv(inside) == "" {
		again()
		return
	}
	stop := network(line, flags.Args())
	await()
	if *bulk {
		measure(*length)
	} else {
		exchange(*connections, *length)
	}
	stop()
}

// again runs this program in a network namespace of its own, as its root.
func again() {
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
}

func ip(words string) {
	said, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput()
	prog.Check(err == nil, "ip %s: %s", words, said)
}

// network makes both interfaces, starts the relay between them and the server. What it gives ends the server.
func network(line line, command []string) func() {
	ip("link set lo up")
	near := openTap("host0")
	ip("address add " + host + " dev host0")
	ip("link set host0 up")
	var server *exec.Cmd
	if command[0] == "linux" {
		script := "until ip link set veth1 up 2>/dev/null; do sleep 0.05; done; ip address add " + guest + " dev veth1; exec /proc/self/exe serve"
		script = strings.Replace(script, "/proc/self/exe", executable(), 1)
		server = exec.Command("sh", "-c", script)
		server.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	} else {
		ip("tuntap add vm0 mode tap")
		server = exec.Command(command[0], command[1:]...)
		server.SysProcAttr = &syscall.SysProcAttr{}
	}
	server.SysProcAttr.Pdeathsig = syscall.SIGKILL
	server.Stdout, server.Stderr = os.Stderr, os.Stderr
	prog.Must(server.Start())
	if command[0] == "linux" {
		ip(fmt.Sprintf("link add vm0 type veth peer name veth1 netns %d", server.Process.Pid))
	}
	ip("link set vm0 up")
	relay(near, openRaw("vm0"), line)
	return func() {
		server.Process.Signal(syscall.SIGTERM)
		server.Wait()
	}
}

func executable() string {
	path, err := os.Executable()
	prog.Must(err)
	return path
}

// await waits for the server.
func await() {
	var err error
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(50 * time.Millisecond) {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", server, 5*time.Second); err == nil {
			c.Close()
			return
		}
	}
	prog.Must(err)
}
