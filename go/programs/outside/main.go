// Outside talks beyond loopback, with a test on the host: `serve` until told to end, `dial ADDRESS` and
// `names` once.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: outside serve | dial ADDRESS | names")
	}
	switch os.Args[1] {
	case "serve":
		serve()
	case "dial":
		dial(os.Args[2])
	case "names":
		names()
	}
}

// listen runs each on every connection to a port.
func listen(address string, each func(*net.TCPConn)) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				log.Fatal(err)
			}
			go func() {
				defer conn.Close()
				each(conn.(*net.TCPConn))
			}()
		}
	}()
}

func serve() {
	end := make(chan struct{})
	// What comes goes back, to its end.
	listen(":7", func(conn *net.TCPConn) { io.Copy(conn, struct{ io.Reader }{conn}) })
	// The sum of what comes, after its end.
	listen(":80", func(conn *net.TCPConn) {
		sum := sha256.New()
		if _, err := io.Copy(sum, conn); err == nil {
			fmt.Fprintf(conn, "%x", sum.Sum(nil))
		}
	})
	// Closed with what it was sent unread.
	listen(":81", func(conn *net.TCPConn) { time.Sleep(200 * time.Millisecond) })
	listen(":99", func(conn *net.TCPConn) { close(end) })
	packets, err := net.ListenPacket("udp", ":7")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		buffer := make([]byte, 65536)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				log.Fatal(err)
			}
			packets.WriteTo(buffer[:n], from)
		}
	}()
	<-end
}

// interfaces tells this machine's addresses.
func interfaces() {
	all, err := net.Interfaces()
	for _, each := range all {
		addresses, _ := each.Addrs()
		fmt.Println(each.Name, addresses, each.HardwareAddr)
	}
	if err != nil {
		fmt.Println(err)
	}
}

// names tells who is asked for names, and the way there.
func names() {
	for _, file := range []string{"/etc/resolv.conf", "/etc/hosts", "/proc/net/route"} {
		text, err := os.ReadFile(file)
		fmt.Printf("%s: %v\n%s", file, err, text)
	}
	interfaces()
}

func dial(address string) {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		piece := make([]byte, 64<<10)
		for i := range piece {
			piece[i] = byte(i % 251)
		}
		for sent := 0; sent < 16<<20; sent += len(piece) {
			conn.Write(piece)
		}
		conn.(*net.TCPConn).CloseWrite()
	}()
	sum := sha256.New()
	n, err := io.Copy(sum, conn)
	fmt.Printf("%d bytes came back, %v, %x\n", n, err, sum.Sum(nil))
	local, remote := conn.LocalAddr(), conn.RemoteAddr()
	fmt.Println(local.(*net.TCPAddr).IP, remote)
	interfaces()
	// Nobody listens at port 1 of the host.
	_, err = net.Dial("tcp", "10.0.2.2:1")
	fmt.Println(err)
}
