package main

import (
	"fmt"
	"net"

	"ringo.dev/go/internal/prog"
)

func init() { scenes["ports"] = scene{ports, func(*peer) {}} }

// ports looks at those that the system picks: nobody should guess the next one.
func ports() {
	for _, network := range []string{"udp", "tcp"} {
		var last, close, outside int
		for i := 0; i < 40; i++ {
			address := target(port)
			if network == "tcp" {
				// Another one each time: to the same place Linux counts on from a secret number.
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				prog.Must(err)
				defer listener.Close()
				address = listener.Addr().String()
			}
			conn, err := net.Dial(network, address)
			prog.Must(err)
			var picked int
			switch local := conn.LocalAddr().(type) {
			case *net.UDPAddr:
				picked = local.Port
			case *net.TCPAddr:
				picked = local.Port
			}
			if picked < 32768 || picked > 60999 {
				outside++
			}
			if difference := picked - last; difference > -20 && difference < 20 {
				close++
			}
			last = picked
			conn.Close()
		}
		fmt.Println(network, "outside of the range:", outside, "close to the last one, mostly:", close > 20)
	}
}
