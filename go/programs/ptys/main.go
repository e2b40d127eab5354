// Ptys tests pseudo-terminals: pairs by /dev/ptmx and /dev/pts, their line discipline, settings, and ends.
package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{"pair": pair, "lines": lines, "echo": echo, "raw": raw, "ends": ends, "waiting": waiting})
}

// Of ioctl_tty(2).
const (
	tcgets, tcsets, tcflsh            = 0x5401, 0x5402, 0x540b
	getSize, setSize, available       = 0x5413, 0x5414, 0x541b
	getNumber, setLock, getLock, peer = 0x80045430, 0x40045431, 0x80045439, 0x5441
	nonblock                          = syscall.O_NONBLOCK
)

func ioctl(fd int, request uintptr, argument unsafe.Pointer) string {
	_, errno := prog.Call(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
	return errno
}

// open makes a pair whose reads and writes don't wait.
func open() (master, slave int, name string) {
	master, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|nonblock, 0)
	prog.Must(err)
	var number, lock uint32
	errno := ioctl(master, getNumber, unsafe.Pointer(&number))
	prog.Check(errno == "ok", "TIOCGPTN: %s", errno)
	name = fmt.Sprintf("/dev/pts/%d", number)
	errno = ioctl(master, setLock, unsafe.Pointer(&lock))
	prog.Check(errno == "ok", "TIOCSPTLCK: %s", errno)
	slave, err = syscall.Open(name, syscall.O_RDWR|syscall.O_NOCTTY|nonblock, 0)
	prog.Must(err)
	return master, slave, name
}

func read(what string, fd, most int) {
	buffer := make([]byte, most)
	n, err := syscall.Read(fd, buffer)
	fmt.Printf("%s: %d %q %s\n", what, n, buffer[:max(n, 0)], prog.Name(err))
}

func write(what string, fd int, text string) {
	n, err := syscall.Write(fd, []byte(text))
	fmt.Printf("%s %q: %d %s\n", what, text[:min(len(text), 20)], n, prog.Name(err))
	settle()
}

// settle waits until what was written has come to the other end: Linux has a worker bring it.
func settle() { time.Sleep(30 * time.Millisecond) }

// see reads all that is shown: in how many pieces it comes differs.
func see(master int) {
	var all []byte
	buffer := make([]byte, 4096)
	for {
		n, err := syscall.Read(master, buffer)
		if err != nil {
			fmt.Printf("seen: %q %s\n", all, prog.Name(err))
			return
		}
		all = append(all, buffer[:n]...)
	}
}

func settings(fd int) (t syscall.Termios) {
	errno := ioctl(fd, tcgets, unsafe.Pointer(&t))
	prog.Check(errno == "ok", "TCGETS: %s", errno)
	return t
}

func change(fd int, f func(*syscall.Termios)) {
	t := settings(fd)
	f(&t)
	errno := ioctl(fd, tcsets, unsafe.Pointer(&t))
	prog.Check(errno == "ok", "TCSETS: %s", errno)
}

func pair() {
	master, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|nonblock, 0)
	prog.Must(err)
	var number uint32
	var lock int32 = -1
	fmt.Println(ioctl(master, getNumber, unsafe.Pointer(&number)), ioctl(master, getLock, unsafe.Pointer(&lock)), lock)
	name := fmt.Sprintf("/dev/pts/%d", number)
	_, err = syscall.Open(name, syscall.O_RDWR|syscall.O_NOCTTY, 0)
	fmt.Println("locked:", prog.Name(err))
	lock = 0
	fmt.Println(ioctl(master, setLock, unsafe.Pointer(&lock)))
	slave, err := syscall.Open(name, syscall.O_RDWR|syscall.O_NOCTTY|nonblock, 0)
	fmt.Println("open:", prog.Name(err))
	another, errno := prog.Call(syscall.SYS_IOCTL, uintptr(master), peer, syscall.O_RDWR|syscall.O_NOCTTY|nonblock)
	fmt.Println("peer:", errno)
	for _, fd := range []int{master, slave, another} {
		var stat syscall.Stat_t
		prog.Must(syscall.Fstat(fd, &stat))
		path, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		fmt.Println(stat.Mode&syscall.S_IFMT == syscall.S_IFCHR, stat.Rdev>>8, strings.TrimRight(path, "0123456789"))
		t := settings(fd)
		fmt.Printf("%#x %#x %#x %#x %v\n", t.Iflag, t.Oflag, t.Cflag, t.Lflag, t.Cc[:17])
	}
	size := [4]uint16{25, 80, 640, 400}
	fmt.Println(ioctl(master, setSize, unsafe.Pointer(&size)))
	size = [4]uint16{}
	fmt.Println(ioctl(slave, getSize, unsafe.Pointer(&size)), size)
	group := int32(-1)
	fmt.Println(ioctl(slave, 0x540f, unsafe.Pointer(&group)), ioctl(slave, getNumber, unsafe.Pointer(&number)))
	fmt.Println(ioctl(master, 0x540f, unsafe.Pointer(&group)), group)
	entries, err := os.ReadDir("/dev/pts")
	found := false
	for _, entry := range entries {
		found = found || "/dev/pts/"+entry.Name() == name
	}
	fmt.Println(found, prog.Name(err))
	syscall.Close(master)
	_, err = os.Lstat(name)
	fmt.Println("gone:", prog.Name(err))
	_, err = syscall.Open("/dev/pts/9999", syscall.O_RDWR, 0)
	fmt.Println("never there:", prog.Name(err))
}

func lines() {
	master, slave, _ := open()
	change(slave, func(t *syscall.Termios) { t.Lflag &^= syscall.ECHO })
	for _, typed := range []string{
		"one\n", "cr\r", "two\nthree\n", "rub\x7f\x7f\x7f\x7fbed\n", "many words here\x17\x17it\n", "killed\x15kept\n", "end\x04", "\x04", "a\x16\x04b\n",
		"lost\x03found\n", "a\x00b\xff\n", "tab\t\x7f.\n", "part",
	} {
		write("type", master, typed)
		var count int32
		fmt.Println(ioctl(slave, available, unsafe.Pointer(&count)), count)
		read("read", slave, 5)
		read("read", slave, 100)
	}
	write("type", master, strings.Repeat("x", 5000))
	write("type", master, "\n")
	n, err := syscall.Read(slave, make([]byte, 10000))
	fmt.Println("long:", n, prog.Name(err))
	change(slave, func(t *syscall.Termios) { t.Iflag |= syscall.ISTRIP | syscall.INLCR | syscall.IGNCR })
	write("type", master, "\xe1\rb\nc\x04")
	read("changed", slave, 100)
}

func echo() {
	master, slave, _ := open()
	for _, typed := range []string{
		"one\n", "ab\x7fc\n", "tab\t\x7f\x7f.\n", "ctl\x01\x7f\x7f\n", "some words\x17\x17\n", "kill me\x15ok\n", "a\x16\x03b\x7f\n", "int\x03", "quit\x1c", "re\x12print\n",
		"bell\x07\n", "\x1b[A\n", "eof\x04",
	} {
		write("type", master, typed)
		see(master)
		read("read", slave, 200)
	}
	for _, written := range []string{"line\n", "a\tb\n", "\r\n\n", "\x1b[1mbold\x1b[0m"} {
		write("write", slave, written)
		see(master)
	}
	change(slave, func(t *syscall.Termios) { t.Oflag |= syscall.OCRNL | 0x1800 })
	write("write", slave, "a\tb\rc\n")
	see(master)
	change(slave, func(t *syscall.Termios) { t.Oflag &^= syscall.OPOST; t.Lflag &^= syscall.ECHOCTL })
	write("write", slave, "a\tb\rc\n")
	see(master)
	write("type", master, "c\x01\x7fd\x15e\n")
	see(master)
	read("read", slave, 200)
	change(slave, func(t *syscall.Termios) { t.Lflag &^= syscall.ECHOE | syscall.ECHOKE })
	write("type", master, "ab\x7fc\x15e\n")
	see(master)
	read("read", slave, 200)
}

func raw() {
	master, slave, _ := open()
	write("type", master, "before")
	makeRaw := func(t *syscall.Termios) {
		t.Iflag &^= syscall.IGNBRK | syscall.BRKINT | syscall.PARMRK | syscall.ISTRIP | syscall.INLCR | syscall.IGNCR | syscall.ICRNL | syscall.IXON
		t.Oflag &^= syscall.OPOST
		t.Lflag &^= syscall.ECHO | syscall.ECHONL | syscall.ICANON | syscall.ISIG | syscall.IEXTEN
		t.Cc[syscall.VMIN], t.Cc[syscall.VTIME] = 1, 0
	}
	change(slave, makeRaw)
	see(master)
	read("read", slave, 3)
	read("read", slave, 200)
	write("type", master, "\x03\x04\r\n\x7f\x00\xff")
	read("read", slave, 200)
	see(master)
	write("write", slave, "\r\n\t\x03")
	see(master)
	read("nothing", slave, 10)
	change(slave, func(t *syscall.Termios) { t.Cc[syscall.VMIN] = 0 })
	read("nothing, at once", slave, 10)
	write("type", master, "as a line")
	change(slave, func(t *syscall.Termios) { t.Lflag |= syscall.ICANON })
	read("read", slave, 200)
	write("type", master, "away")
	_, errno := prog.Call(syscall.SYS_IOCTL, uintptr(slave), tcflsh, 0)
	fmt.Println("flush:", errno)
	write("type", master, "more\n")
	read("read", slave, 200)
}

func ends() {
	master, slave, _ := open()
	write("write", slave, "last words\n")
	write("type", master, "typed\n")
	syscall.Close(slave)
	see(master)
	see(master)
	write("type", master, "nobody\n")
	syscall.Close(master)
	master, slave, _ = open()
	write("type", master, "typed\n")
	syscall.Close(master)
	settle()
	read("read", slave, 200)
	read("read", slave, 200)
	write("write", slave, "nobody")
	var t syscall.Termios
	fmt.Println(ioctl(slave, tcgets, unsafe.Pointer(&t)))
}

// waiting: both ends as files of package os, which waits for them.
func waiting() {
	fd, sfd, name := open()
	master, slave := os.NewFile(uintptr(fd), "/dev/ptmx"), os.NewFile(uintptr(sfd), name)
	done := make(chan string)
	go func() {
		buffer := make([]byte, 100)
		n, err := slave.Read(buffer)
		done <- fmt.Sprintf("%q %s", buffer[:n], prog.Name(err))
	}()
	time.Sleep(20 * time.Millisecond)
	fmt.Fprint(master, "hello\n")
	fmt.Println(<-done)
	big := strings.Repeat("0123456789abcde\n", 1<<14)
	go func() {
		_, err := slave.WriteString(big)
		slave.Close()
		done <- prog.Name(err)
	}()
	var all strings.Builder
	buffer := make([]byte, 3000)
	for {
		n, err := master.Read(buffer)
		all.Write(buffer[:n])
		if err != nil {
			fmt.Println("end:", prog.Name(err))
			break
		}
	}
	fmt.Println(<-done)
	got := strings.TrimPrefix(all.String(), "hello\r\n")
	fmt.Println(len(got), got == strings.ReplaceAll(big, "\n", "\r\n"))
	prog.Must(master.SetReadDeadline(time.Now().Add(-1)))
	fmt.Println("still open:", master.Close() == nil)
}
