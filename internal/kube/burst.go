package kube

import (
	"io"
	"sync"
)

// A burst reads as much as there is while much is coming, and little, into no memory of its own, while not: most watches
// are idle most of the time. Over HTTP/2 each read costs a frame to the server that says so, and a system call.
type burst struct {
	io.ReadCloser

	pool   *sync.Pool // of *[burstSize]byte
	buffer *[burstSize]byte
	unread []byte // part of buffer
	more   bool   // the last read was as long as it could be
}

const burstSize = 64 << 10

func (b *burst) Read(p []byte) (int, error) {
	if len(b.unread) == 0 && b.more {
		if b.buffer == nil {
			b.buffer = b.pool.Get().(*[burstSize]byte)
		}
		n, err := b.ReadCloser.Read(b.buffer[:])
		b.unread, b.more = b.buffer[:n], n == burstSize
		if n == 0 {
			b.release()
			return 0, err
		}
	}
	if len(b.unread) == 0 {
		n, err := b.ReadCloser.Read(p)
		b.more = n == len(p)
		return n, err
	}
	n := copy(p, b.unread)
	if b.unread = b.unread[n:]; len(b.unread) == 0 && !b.more {
		b.release()
	}
	return n, nil
}

func (b *burst) release() {
	b.pool.Put(b.buffer)
	b.buffer, b.unread = nil, nil
}
