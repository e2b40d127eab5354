// Dns is a name server on loopback, over UDP and TCP, asked by a DNS client and by Go's own resolver.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/miekg/dns"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func answer(w dns.ResponseWriter, question *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetReply(question)
	name := question.Question[0].Name
	records := map[string][]string{
		"host.test. A":      {"host.test. 60 IN A 192.0.2.1", "host.test. 60 IN A 192.0.2.2"},
		"host.test. AAAA":   {"host.test. 60 IN AAAA 2001:db8::1"},
		"alias.test. A":     {"alias.test. 60 IN CNAME host.test.", "host.test. 60 IN A 192.0.2.1"},
		"mail.test. MX":     {"mail.test. 60 IN MX 10 host.test."},
		"text.test. TXT":    {"text.test. 60 IN TXT \"some\" \"words\""},
		"_x._tcp.test. SRV": {"_x._tcp.test. 60 IN SRV 1 2 8080 host.test."},
	}
	kind := dns.TypeToString[question.Question[0].Qtype]
	for _, text := range records[name+" "+kind] {
		record, err := dns.NewRR(text)
		must(err)
		reply.Answer = append(reply.Answer, record)
	}
	if name == "big.test." && kind == "TXT" {
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			reply.Truncated = true // asks for TCP
		} else {
			for i := range 100 {
				record, _ := dns.NewRR(fmt.Sprintf("big.test. 60 IN TXT \"%d %s\"", i, strings.Repeat("x", 100)))
				reply.Answer = append(reply.Answer, record)
			}
		}
	} else if len(reply.Answer) == 0 && !strings.HasSuffix(name, "host.test.") && name != "alias.test." {
		reply.Rcode = dns.RcodeNameError
	}
	w.WriteMsg(reply)
}

func main() {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(err)
	address := packets.LocalAddr().String()
	listener, err := net.Listen("tcp", address)
	must(err)
	for _, server := range []*dns.Server{
		{PacketConn: packets, Handler: dns.HandlerFunc(answer)},
		{Listener: listener, Handler: dns.HandlerFunc(answer)},
	} {
		go server.ActivateAndServe()
	}

	question := new(dns.Msg)
	question.SetQuestion("host.test.", dns.TypeA)
	reply, err := dns.Exchange(question, address)
	must(err)
	fmt.Println("asked:", len(reply.Answer), dns.RcodeToString[reply.Rcode])

	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	hosts, err := resolver.LookupHost(ctx, "host.test.")
	sort.Strings(hosts)
	fmt.Println("host:", hosts, err)
	name, err := resolver.LookupCNAME(ctx, "alias.test.")
	fmt.Println("alias:", name, err)
	mail, err := resolver.LookupMX(ctx, "mail.test.")
	must(err)
	fmt.Println("mail:", mail[0].Host, mail[0].Pref)
	words, err := resolver.LookupTXT(ctx, "text.test.")
	fmt.Println("text:", words, err)
	_, services, err := resolver.LookupSRV(ctx, "x", "tcp", "test.")
	must(err)
	fmt.Println("service:", services[0].Target, services[0].Port)
	big, err := resolver.LookupTXT(ctx, "big.test.")
	fmt.Println("over TCP:", len(big), err)
	_, err = resolver.LookupHost(ctx, "nothing.test.")
	var missing *net.DNSError
	if e, ok := err.(*net.DNSError); ok {
		missing = e
	}
	fmt.Println("nothing:", missing != nil && missing.IsNotFound)
}
