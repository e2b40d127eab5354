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
	"os"
	"time"

	"ringo.dev/go/internal/prog"
	"ringo.dev/go/internal/testnet"
)

const server = "192.0.2.2:7000"

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
	if testnet.Enter() {
		return
	}
	stop := network(line, flags.Args())
	testnet.Await(server)
	if *bulk {
		measure(*length)
	} else {
		exchange(*connections, *length)
	}
	stop()
}

// network makes both interfaces, starts the relay between them and the server. What it gives ends the server.
func network(line line, command []string) func() {
	testnet.IP("link set lo up")
	near := openTap("host0")
	testnet.IP("address add " + testnet.Host + " dev host0")
	testnet.IP("link set host0 up")
	end := testnet.Start(command)
	testnet.IP("link set vm0 up")
	relay(near, openRaw("vm0"), line)
	return end
}
