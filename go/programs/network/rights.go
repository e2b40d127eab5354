package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func sendFiles(to int, fds ...int) error {
	_, err := syscall.SendmsgN(to, []byte("x"), syscall.UnixRights(fds...), nil, 0)
	return err
}

// ends reads until the end of a pipe whose last writer may go a little later.
func ends(fd int) string {
	prog.Must(syscall.SetNonblock(fd, true))
	for n := 0; n < 500; n++ {
		n, err := syscall.Read(fd, make([]byte, 10))
		if err != syscall.EAGAIN {
			return fmt.Sprint(n, " ", prog.Name(err))
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "still open"
}

// rightsDeep puts sockets into the queues of sockets, a thousand deep, and closes the outermost.
func rightsDeep() {
	var p [2]int
	prog.Must(syscall.Pipe(p[:]))
	inner := p[1]
	const levels = 1000
	for n := 0; n < levels; n++ {
		a, b := socketpair([]int{syscall.SOCK_STREAM, syscall.SOCK_DGRAM, syscall.SOCK_SEQPACKET}[n%3])
		prog.Must(sendFiles(a, inner))
		syscall.Close(a)
		syscall.Close(inner)
		inner = b
	}
	fmt.Println("closed", prog.Name(syscall.Close(inner)), ends(p[0]))
}

// rightsCircles leaves sockets in each other's queues, which nobody can take out any more: they end all the same, with
// what is in them. One circle somebody still reaches.
func rightsCircles() {
	for _, kind := range []int{syscall.SOCK_STREAM, syscall.SOCK_DGRAM, syscall.SOCK_SEQPACKET} {
		for _, length := range []int{1, 2, 5} {
			var p [2]int
			prog.Must(syscall.Pipe(p[:]))
			var to, own []int
			for n := 0; n < length; n++ {
				a, b := socketpair(kind)
				to, own = append(to, a), append(own, b)
			}
			for n := range own {
				prog.Must(sendFiles(to[n], own[(n+1)%length], p[1]))
			}
			syscall.Close(p[1])
			kept := -1
			if length == 5 {
				kept, _ = syscall.Dup(own[2])
			}
			for n := range own {
				syscall.Close(own[n])
				syscall.Close(to[n])
			}
			// Any Unix socket that is closed makes the kernel look.
			a, b := socketpair(kind)
			syscall.Close(a)
			syscall.Close(b)
			if kept >= 0 {
				time.Sleep(20 * time.Millisecond)
				prog.Must(syscall.SetNonblock(p[0], true))
				_, err := syscall.Read(p[0], make([]byte, 10))
				fmt.Println("one is kept:", prog.Name(err))
				in := make([]byte, 100)
				_, n, _, _, err := syscall.Recvmsg(kept, make([]byte, 10), in, 0)
				messages, _ := syscall.ParseSocketControlMessage(in[:n])
				fds, _ := syscall.ParseUnixRights(&messages[0])
				fmt.Println("taken out of it:", len(fds), prog.Name(err))
				for _, fd := range fds {
					syscall.Close(fd)
				}
				syscall.Close(kept)
				a, b := socketpair(kind)
				syscall.Close(a)
				syscall.Close(b)
			}
			fmt.Println(kind, length, ends(p[0]))
			syscall.Close(p[0])
		}
	}
}

// quietPipes writes to datagram sockets that nobody reads any more: an error, but no signal.
func quietPipes() {
	pipes := make(chan os.Signal, 10)
	signal.Notify(pipes, syscall.SIGPIPE)
	for _, kind := range []int{syscall.SOCK_DGRAM, syscall.SOCK_SEQPACKET, syscall.SOCK_STREAM} {
		for _, half := range []int{syscall.SHUT_WR, syscall.SHUT_RD} {
			a, b := socketpair(kind)
			if half == syscall.SHUT_WR {
				prog.Must(syscall.Shutdown(a, half))
			} else {
				prog.Must(syscall.Shutdown(b, half))
			}
			_, err := syscall.Write(a, []byte("x"))
			_, sent := syscall.SendmsgN(a, []byte("x"), nil, nil, 0)
			_, quiet := syscall.SendmsgN(a, []byte("x"), nil, nil, syscall.MSG_NOSIGNAL)
			time.Sleep(10 * time.Millisecond)
			fmt.Println(kind, half, prog.Name(err), prog.Name(sent), prog.Name(quiet), len(pipes) > 0)
			for len(pipes) > 0 {
				<-pipes
			}
			syscall.Close(a)
			syscall.Close(b)
		}
	}
}
