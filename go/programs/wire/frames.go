package main

import (
	"encoding/binary"
	"net"
)

var be = binary.BigEndian

// Flags of TCP.
const (
	fin = 1
	syn = 2
	rst = 4
	psh = 8
	ack = 16
)

const (
	icmpProtocol = 1
	tcpProtocol  = 6
	udpProtocol  = 17
)

// A packet of IPv4, taken apart.
type packet struct {
	from, to [4]byte
	protocol byte
	id       uint16
	// As in the header: flags and offset.
	part    uint16
	payload []byte
	whole   []byte
}

// A segment of TCP.
type segment struct {
	from, to uint16
	seq, ack uint32
	flags    byte
	window   uint16
	options  []byte
	data     []byte
	packet   *packet
}

// A datagram of UDP.
type datagram struct {
	from, to uint16
	data     []byte
	packet   *packet
}

func ip4(text string) (out [4]byte) {
	copy(out[:], net.ParseIP(text).To4())
	return
}

func sum(start uint32, data []byte) uint32 {
	for ; len(data) > 1; data = data[2:] {
		start += uint32(be.Uint16(data))
	}
	if len(data) == 1 {
		start += uint32(data[0]) << 8
	}
	return start
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func pseudo(from, to [4]byte, protocol byte, length int) uint32 {
	return sum(sum(uint32(protocol)+uint32(length), from[:]), to[:])
}

func parseIP(bytes []byte) *packet {
	if len(bytes) < 20 || bytes[0]>>4 != 4 {
		return nil
	}
	header, total := int(bytes[0]&15)*4, int(be.Uint16(bytes[2:]))
	if header < 20 || total < header || total > len(bytes) || fold(sum(0, bytes[:header])) != 0 {
		return nil
	}
	p := &packet{protocol: bytes[9], id: be.Uint16(bytes[4:]), part: be.Uint16(bytes[6:]), payload: bytes[header:total], whole: bytes[:total]}
	copy(p.from[:], bytes[12:])
	copy(p.to[:], bytes[16:])
	return p
}

func writeIP(from, to [4]byte, protocol byte, id, part uint16, payload []byte) []byte {
	out := make([]byte, 20, 20+len(payload))
	out[0], out[8], out[9] = 0x45, 64, protocol
	be.PutUint16(out[2:], uint16(20+len(payload)))
	be.PutUint16(out[4:], id)
	be.PutUint16(out[6:], part)
	copy(out[12:], from[:])
	copy(out[16:], to[:])
	be.PutUint16(out[10:], fold(sum(0, out)))
	return append(out, payload...)
}

func parseTCP(p *packet) *segment {
	b := p.payload
	if len(b) < 20 || fold(sum(pseudo(p.from, p.to, tcpProtocol, len(b)), b)) != 0 {
		return nil
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		return nil
	}
	return &segment{
		from: be.Uint16(b), to: be.Uint16(b[2:]), seq: be.Uint32(b[4:]), ack: be.Uint32(b[8:]), flags: b[13],
		window: be.Uint16(b[14:]), options: b[20:header], data: b[header:], packet: p,
	}
}

func writeTCP(from, to [4]byte, s segment) []byte {
	for len(s.options)%4 != 0 {
		s.options = append(s.options, 1)
	}
	b := make([]byte, 20, 20+len(s.options)+len(s.data))
	be.PutUint16(b, s.from)
	be.PutUint16(b[2:], s.to)
	be.PutUint32(b[4:], s.seq)
	be.PutUint32(b[8:], s.ack)
	b[12], b[13] = byte(5+len(s.options)/4)<<4, s.flags
	be.PutUint16(b[14:], s.window)
	b = append(append(b, s.options...), s.data...)
	be.PutUint16(b[16:], fold(sum(pseudo(from, to, tcpProtocol, len(b)), b)))
	return b
}

func parseUDP(p *packet) *datagram {
	b := p.payload
	if len(b) < 8 || int(be.Uint16(b[4:])) != len(b) {
		return nil
	}
	if be.Uint16(b[6:]) != 0 && fold(sum(pseudo(p.from, p.to, udpProtocol, len(b)), b)) != 0 {
		return nil
	}
	return &datagram{from: be.Uint16(b), to: be.Uint16(b[2:]), data: b[8:], packet: p}
}

func writeUDP(from, to [4]byte, fromPort, toPort uint16, data []byte) []byte {
	b := make([]byte, 8, 8+len(data))
	be.PutUint16(b, fromPort)
	be.PutUint16(b[2:], toPort)
	be.PutUint16(b[4:], uint16(8+len(data)))
	b = append(b, data...)
	be.PutUint16(b[6:], fold(sum(pseudo(from, to, udpProtocol, len(b)), b)))
	return b
}

// icmpAbout is a message of ICMP about a packet, of which it quotes the header and eight bytes.
func icmpAbout(kind, code byte, rest uint32, about []byte) []byte {
	quoted := about
	if len(quoted) > 28 {
		quoted = quoted[:28]
	}
	b := make([]byte, 8, 8+len(quoted))
	b[0], b[1] = kind, code
	be.PutUint32(b[4:], rest)
	b = append(b, quoted...)
	be.PutUint16(b[2:], fold(sum(0, b)))
	return b
}

// mss is the option that says it.
func mss(size uint16) []byte { return []byte{2, 4, byte(size >> 8), byte(size)} }
