// Terminal uses golang.org/x/term: is it one, how large, raw mode and keys, a password, and putting all of it back.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// tty asks for a password at /dev/tty, as programs do whose streams are other things, and then takes a key.
func tty() {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fd := int(tty.Fd())
	width, height, err := term.GetSize(fd)
	fmt.Fprintln(tty, "tty:", term.IsTerminal(fd), width, height, err, "stdin:", term.IsTerminal(0))
	fmt.Fprint(tty, "password: ")
	password, err := term.ReadPassword(fd)
	fmt.Fprintf(tty, "\n%q %v\n", password, err)
	before, err := term.MakeRaw(fd)
	fmt.Fprint(tty, "key: ", err, "\r\n")
	key := make([]byte, 8)
	n, err := tty.Read(key)
	fmt.Fprintf(tty, "%q %v %v\r\n", key[:n], err, term.Restore(fd, before))
	rest, err := io.ReadAll(os.Stdin)
	fmt.Printf("%q %v\n", rest, err)
	fmt.Fprintln(os.Stderr, "done")
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "tty" {
		tty()
		return
	}
	in := int(os.Stdin.Fd())
	fmt.Println("terminals:", term.IsTerminal(0), term.IsTerminal(1), term.IsTerminal(2))
	width, height, err := term.GetSize(1)
	fmt.Println("size:", width, height, err)
	if len(os.Args) > 1 && os.Args[1] == "resize" {
		resized := make(chan os.Signal, 1)
		signal.Notify(resized, syscall.SIGWINCH)
		fmt.Println("waiting")
		<-resized
		width, height, err = term.GetSize(1)
		fmt.Println("size:", width, height, err)
		return
	}
	before, err := term.MakeRaw(in)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print("raw\r\n")
	key := make([]byte, 16)
	for {
		n, err := os.Stdin.Read(key)
		fmt.Printf("key %q %v\r\n", key[:n], err)
		if n > 0 && key[0] == 'q' || err != nil {
			break
		}
	}
	if err := term.Restore(in, before); err != nil {
		fmt.Println(err)
	}
	fmt.Print("password: ")
	password, err := term.ReadPassword(in)
	fmt.Printf("\n%q %v\n", password, err)
	var line string
	fmt.Scanln(&line)
	fmt.Printf("line %q\n", line)
}
