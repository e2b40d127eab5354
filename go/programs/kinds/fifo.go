package main

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func open(name string, flags int) (int, string) {
	fd, err := syscall.Open(name, flags, 0o644)
	return fd, prog.Name(err)
}

// fifo: each side waits for the other.
func fifo() {
	prog.Must(syscall.Mkfifo("p", 0o640))
	var st syscall.Stat_t
	prog.Must(syscall.Stat("p", &st))
	fmt.Printf("%o %d %d\n", st.Mode, st.Nlink, st.Size)
	for _, first := range []int{syscall.O_RDONLY, syscall.O_WRONLY} {
		second := syscall.O_WRONLY - first
		opened := make(chan int)
		go func() {
			fd, name := open("p", first)
			fmt.Println("first", name)
			opened <- fd
		}()
		select {
		case <-opened:
			fmt.Println("did not wait")
		case <-time.After(20 * time.Millisecond):
		}
		b, name := open("p", second)
		a := <-opened
		fmt.Println("second", name)
		if first == syscall.O_WRONLY {
			a, b = b, a
		}
		n, err := syscall.Write(b, []byte("hello"))
		fmt.Println(n, err)
		buffer := make([]byte, 10)
		n, err = syscall.Read(a, buffer)
		fmt.Println(n, err, string(buffer[:n]))
		prog.Must(syscall.Fstat(a, &st))
		fmt.Printf("%o\n", st.Mode)
		_, err = syscall.Seek(a, 0, 0)
		fmt.Println(err)
		syscall.Close(b)
		n, err = syscall.Read(a, buffer)
		fmt.Println(n, err)
		c, name := open("p", syscall.O_WRONLY)
		fmt.Println("reopened", name)
		syscall.Write(c, []byte("again"))
		n, err = syscall.Read(a, buffer)
		fmt.Println(n, err, string(buffer[:n]))
		syscall.Close(a)
		syscall.Close(c)
	}
	// A partner that comes and goes at once is a partner.
	done := make(chan string)
	go func() {
		_, name := open("p", syscall.O_RDONLY)
		done <- name
	}()
	for {
		fd, name := open("p", syscall.O_WRONLY|syscall.O_NONBLOCK)
		if name == "ok" {
			syscall.Close(fd)
			break
		}
		time.Sleep(time.Millisecond)
	}
	fmt.Println(<-done)
}

func fifoNonblocking() {
	prog.Must(syscall.Mkfifo("p", 0o600))
	const nonblock = syscall.O_NONBLOCK
	_, name := open("p", syscall.O_WRONLY|nonblock)
	fmt.Println("no reader", name)
	r, name := open("p", syscall.O_RDONLY|nonblock)
	fmt.Println("reader", name)
	buffer := make([]byte, 10)
	n, err := syscall.Read(r, buffer)
	fmt.Println("no writer", n, err)
	w, name := open("p", syscall.O_WRONLY|nonblock)
	fmt.Println("writer", name)
	n, err = syscall.Read(r, buffer)
	fmt.Println("empty", n, err)
	n, err = syscall.Write(w, []byte("x"))
	fmt.Println(n, err)
	n, err = syscall.Read(r, buffer)
	fmt.Println(n, err)
	syscall.Close(r)
	n, err = syscall.Write(w, []byte("x"))
	fmt.Println("no reader", n, err)
	_, name = open("p", syscall.O_WRONLY|nonblock)
	fmt.Println("no reader", name)
	_, name = open("p", syscall.O_RDONLY|syscall.O_DIRECTORY)
	fmt.Println("directory", name)
	p, name := open("p", 0x200000)
	fmt.Println("O_PATH", name)
	syscall.Close(p)
	fd, name := open("p", syscall.O_RDWR|syscall.O_CREAT|syscall.O_TRUNC)
	fmt.Println("create", name)
	syscall.Close(fd)
	fmt.Println(syscall.Truncate("p", 0))
	f, err := os.OpenFile("p", os.O_RDWR, 0)
	prog.Must(err)
	fmt.Println(f.Truncate(0))
	f.Write([]byte("through package os"))
	b := make([]byte, 100)
	n, err = f.Read(b)
	fmt.Println(string(b[:n]), err)
	f.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = f.Read(b)
	fmt.Println(err)
	f.Close()
}

// fifoBoth opens for reading and writing, which waits for nobody and sees no end.
func fifoBoth() {
	prog.Must(syscall.Mkfifo("p", 0o600))
	fd, name := open("p", syscall.O_RDWR)
	fmt.Println(name)
	n, err := syscall.Write(fd, []byte("to myself"))
	fmt.Println(n, err)
	b := make([]byte, 20)
	n, err = syscall.Read(fd, b)
	fmt.Println(string(b[:n]), err)
	prog.Must(syscall.SetNonblock(fd, true))
	_, err = syscall.Read(fd, b)
	fmt.Println(err)
	n, c := prog.Call(syscall.SYS_FCNTL, uintptr(fd), 1032, 0)
	fmt.Println(n, c)
	w, name := open("p", syscall.O_WRONLY)
	fmt.Println(name)
	syscall.Write(w, []byte("kept"))
	syscall.Close(w)
	prog.Must(os.Remove("p"))
	n, err = syscall.Read(fd, b)
	fmt.Println(string(b[:n]), err)
	syscall.Close(fd)
	// What was left in it is lost with the last end.
	prog.Must(syscall.Mkfifo("q", 0o600))
	fd, _ = open("q", syscall.O_RDWR)
	syscall.Write(fd, []byte("lost"))
	syscall.Close(fd)
	fd, _ = open("q", syscall.O_RDONLY|syscall.O_NONBLOCK)
	n, err = syscall.Read(fd, b)
	fmt.Println(n, err)
}

func fifoPoll() {
	prog.Must(syscall.Mkfifo("p", 0o600))
	r, _ := open("p", syscall.O_RDONLY|syscall.O_NONBLOCK)
	state := func(what string, fd int) { tell(what, []pollFd{{int32(fd), everything, 0}}, 0) }
	state("no writer yet", r)
	w, _ := open("p", syscall.O_WRONLY)
	state("writer", r)
	state("its end", w)
	syscall.Close(w)
	state("writer gone", r)
	w, _ = open("p", syscall.O_WRONLY)
	state("writer back", r)
	syscall.Close(r)
	state("reader gone", w)
	b, _ := open("p", syscall.O_RDWR)
	state("both", b)
	go func() {
		time.Sleep(10 * time.Millisecond)
		syscall.Write(w, []byte("x"))
	}()
	tell("waited", []pollFd{{int32(b), 1, 0}}, 5000)
}
