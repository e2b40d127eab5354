package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"ringo.dev/go/internal/prog"
)

// The network's name servers: nobody is at the first one's port.
const (
	deafServer = theirs
	server     = "10.0.2.3"
)

func init() {
	servers := [2][4]byte{ip4(deafServer), ip4(server)}
	search := "\x01a\x04test\x00\x01b\xc0\x02"
	lease := append([]byte{6, 8}, append(servers[0][:], servers[1][:]...)...)
	lease = append(append(lease, 119, byte(len(search))), search...)
	scenes["names"] = scene{lookUp, answerNames}
	settings["names"] = setting{lease: lease, resolver: "search a.test b.test\nnameserver " + deafServer + "\nnameserver " + server + "\n"}
}

// showResolver puts a text in the place of /etc/resolv.conf, in a mount namespace of our own.
func showResolver(text string) {
	folder, err := os.MkdirTemp("", "wire")
	prog.Must(err)
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "resolv.conf")
	prog.Must(os.WriteFile(file, []byte(text), 0o644))
	prog.Must(syscall.Mount(file, "/etc/resolv.conf", "", syscall.MS_BIND, ""))
}

// lookUp asks Go's own resolver, which reads /etc/resolv.conf.
func lookUp() {
	for _, name := range []string{"www", "www.b.test", "nothing", "nothing.b.test."} {
		addresses, err := net.LookupHost(name)
		slices.Sort(addresses)
		fmt.Println(name, addresses, err)
	}
	words, err := net.DefaultResolver.LookupTXT(context.Background(), "www")
	fmt.Println(words, err)
}

// answerNames knows www.b.test, and notes which questions came to whom.
func answerNames(p *peer) {
	asked := map[string]bool{}
	for d := p.datagram(patience); d != nil; d = p.datagram(patience) {
		to := net.IP(d.packet.to).String()
		name, kind, question := parseQuestion(d.data)
		if d.to != 53 || question == nil {
			continue
		}
		asked[fmt.Sprintf("%s asked for %s %d", to, name, kind)] = true
		if to != server {
			p.sendICMP(3, 3, 0, d.packet.whole)
			continue
		}
		reply := writeIP(d.packet.to, ip(ours), udpProtocol, 0, 0,
			writeUDP(d.packet.to, ip(ours), 53, d.from, answerTo(d.data, name, kind, question)))
		p.send(reply)
	}
	var notes []string
	for note := range asked {
		notes = append(notes, note)
	}
	slices.Sort(notes)
	for _, note := range notes {
		p.note("%s", note)
	}
}

// parseQuestion gives a message's one question (RFC 1035, 4.1.2), and its bytes.
func parseQuestion(message []byte) (name string, kind uint16, question []byte) {
	if len(message) < 12 || be.Uint16(message[4:]) != 1 {
		return
	}
	var labels []string
	at := 12
	for at < len(message) && message[at] != 0 {
		end := at + 1 + int(message[at])
		if end > len(message) {
			return
		}
		labels = append(labels, string(message[at+1:end]))
		at = end
	}
	if at+5 > len(message) {
		return
	}
	return strings.Join(labels, "."), be.Uint16(message[at+1:]), message[12 : at+5]
}

func answerTo(message []byte, name string, kind uint16, question []byte) []byte {
	const a, txt = 1, 16
	const response, noSuchName = 0x8580, 3
	flags, data := uint16(response), []byte(nil)
	switch {
	case name != "www.b.test":
		flags |= noSuchName
	case kind == a:
		data = []byte{192, 0, 2, 1}
	case kind == txt:
		data = []byte("\x0asome words")
	}
	reply := append([]byte(nil), message[:2]...)
	reply = be.AppendUint16(be.AppendUint16(reply, flags), 1)
	count := uint16(0)
	if data != nil {
		count = 1
	}
	reply = append(be.AppendUint16(reply, count), 0, 0, 0, 0)
	reply = append(reply, question...)
	if data != nil {
		// Its name is the question's.
		reply = be.AppendUint16(append(reply, 0xc0, 12), kind)
		reply = append(be.AppendUint16(reply, 1), 0, 0, 0, 60)
		reply = append(be.AppendUint16(reply, uint16(len(data))), data...)
	}
	return reply
}
