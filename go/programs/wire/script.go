package main

import (
	"fmt"
	"time"
)

// patience is how long a script waits for something that must come.
const patience = 20 * time.Second

// segment gives the next segment, or nil if none comes.
func (p *peer) segment(within time.Duration) *segment {
	if s := p.held; s != nil {
		p.held = nil
		return s
	}
	select {
	case s := <-p.tcp:
		return s
	case <-p.ended:
		return nil
	case <-time.After(within):
		return nil
	}
}

// datagram gives the next datagram, or nil if none comes.
func (p *peer) datagram(within time.Duration) *datagram {
	select {
	case d := <-p.udp:
		return d
	case <-p.ended:
		return nil
	case <-time.After(within):
		return nil
	}
}

// flags in letters.
func (s *segment) String() string {
	if s == nil {
		return "nothing"
	}
	out := ""
	for i, letter := range "FSRPA" {
		if s.flags&(1<<i) != 0 {
			out += string(letter)
		}
	}
	if len(s.data) > 0 {
		out += fmt.Sprintf("+%d", len(s.data))
	}
	return out
}

// A conversation is a connection as the script has it.
type conversation struct {
	p        *peer
	from, to uint16
	seq, ack uint32
	// The number of the program's first byte.
	base   uint32
	window uint16
	// The program's end has come.
	ended bool
	// What it answers to, if it does.
	asked *packet
}

// accept answers the next SYN.
func (p *peer) accept() *conversation {
	for {
		s := p.segment(patience)
		if s == nil {
			p.note("nobody connects")
			return &conversation{p: p}
		}
		if s.flags&(syn|ack) == syn {
			return p.answer(s)
		}
	}
}

// answer opens the connection that a SYN asks for.
func (p *peer) answer(s *segment) *conversation {
	p.sequence += 100000
	c := &conversation{p: p, from: s.to, to: s.from, seq: p.sequence, ack: s.seq + 1, base: s.seq + 1, window: 60000, asked: s.packet}
	c.sendWith(syn|ack, nil, mss(1460))
	c.seq++
	for {
		reply := p.segment(patience)
		if reply == nil || reply.flags&ack != 0 && reply.from == c.to {
			// It may say more than that it has heard us.
			if reply != nil && (reply.flags&(fin|rst) != 0 || len(reply.data) > 0) {
				p.held = reply
			}
			return c
		}
	}
}

// dial opens a connection to the program.
func (p *peer) dial(from, to uint16) *conversation {
	p.sequence += 100000
	c := &conversation{p: p, from: from, to: to, seq: p.sequence, window: 60000, asked: p.lastAsked()}
	for try := 0; try < 100; try++ {
		c.sendWith(syn, nil, mss(1460))
		for {
			s := p.segment(100 * time.Millisecond)
			if s == nil {
				break
			}
			if s.flags&(syn|ack) == syn|ack && s.to == from {
				c.seq++
				c.ack, c.base = s.seq+1, s.seq+1
				c.send(ack, nil)
				return c
			}
			// Nobody listens yet.
			if s.flags&rst != 0 {
				time.Sleep(50 * time.Millisecond)
				break
			}
		}
	}
	p.note("nobody answers at port %d", to)
	return c
}

func (c *conversation) sendWith(flags byte, data, options []byte) {
	acknowledges := c.ack
	if flags&ack == 0 {
		acknowledges = 0
	}
	c.p.sendTCP(segment{from: c.from, to: c.to, seq: c.seq, ack: acknowledges, flags: flags, window: c.window, options: options, data: data, packet: c.asked})
}

// send sends a segment and counts what it takes.
func (c *conversation) send(flags byte, data []byte) {
	c.sendWith(flags, data, nil)
	c.seq += uint32(len(data))
	if flags&fin != 0 {
		c.seq++
	}
}

// next gives the next segment of this connection.
func (c *conversation) next(within time.Duration) *segment {
	end := time.Now().Add(within)
	for {
		s := c.p.segment(time.Until(end))
		if s == nil || s.from == c.to && s.to == c.from {
			return s
		}
	}
}

// until gives the next segment that has all of these flags.
func (c *conversation) until(flags byte, within time.Duration) *segment {
	end := time.Now().Add(within)
	for {
		s := c.next(time.Until(end))
		if s == nil || s.flags&flags == flags {
			return s
		}
	}
}

// data gives the next segment with data that is expected next, and counts it. It is not acknowledged yet.
func (c *conversation) data(within time.Duration) *segment {
	end := time.Now().Add(within)
	for {
		s := c.next(time.Until(end))
		if s == nil {
			return nil
		}
		if len(s.data) > 0 && s.seq == c.ack {
			c.ack += uint32(len(s.data))
			if s.flags&fin != 0 {
				c.ack++
				c.ended = true
			}
			return s
		}
	}
}

// finish takes and answers the other end's FIN and ends this side, too.
func (c *conversation) finish() {
	if !c.ended {
		s := c.until(fin, patience)
		if s == nil {
			c.p.note("no end came")
			return
		}
		c.ack = s.seq + uint32(len(s.data)) + 1
	}
	c.send(fin|ack, nil)
}
