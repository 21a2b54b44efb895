package kube

import (
	"bytes"
)

// A cursor reads JSON that is known to be valid. Of what is not it reads something, and comes to an end.
type cursor struct {
	json     []byte
	at       int
	last     []byte // the last name in the object
	ahead    bool   // seek has read that name, but did not want it: the cursor stands before the value
	shuffled bool   // a name came after one that it should have come before
}

// peek moves to the next byte that says something and returns it, 0 at the end.
func (c *cursor) peek() byte {
	for at := c.at; at < len(c.json); at++ {
		if b := c.json[at]; b > ' ' {
			c.at = at
			return b
		}
	}
	c.at = len(c.json)
	return 0
}

// next is peek, after a comma if there is one.
func (c *cursor) next() byte {
	b := c.peek()
	if b == ',' {
		c.at++
		b = c.peek()
	}
	return b
}

// open moves into an object or an array.
func (c *cursor) open() {
	c.at++
	c.last = nil
}

// close moves from the end of an object to after it. The cursor was opened where outer is.
func (c *cursor) close(outer cursor) {
	c.at++
	c.last = outer.last
}

// name reads the name of the next member of an object, without its quotes, and moves to the value; or returns nil, and moves
// to the end of the object.
func (c *cursor) name() []byte {
	if c.next() != '"' {
		return nil
	}
	start := c.at + 1
	c.at = stringEnd(c.json, c.at)
	name := c.json[start:max(start, c.at-1)]
	c.colon()
	if c.last != nil && bytes.Compare(c.last, name) >= 0 {
		c.shuffled = true
	}
	c.last = name
	return name
}

// colon moves past a colon.
func (c *cursor) colon() {
	if c.peek() == ':' {
		c.at++
	}
}

// seek moves to the value of the member of that name, past those that come before it, and reports whether it is there; nil
// moves to the end of the object.
func (c *cursor) seek(name []byte) bool {
	for {
		if !c.ahead {
			if c.skipName(name) {
				return true
			}
			if c.name() == nil {
				return false
			}
			c.ahead = true
		}
		if name != nil {
			switch order := bytes.Compare(c.last, name); {
			case order > 0:
				return false
			case order == 0:
				c.ahead = false
				return true
			}
		}
		c.skip()
		c.ahead = false
	}
}

// skipName passes over that name, up to the value, if it is that of the next member.
func (c *cursor) skipName(name []byte) bool {
	if c.next() != '"' {
		return false
	}
	end := c.at + 1 + len(name)
	if name == nil || end >= len(c.json) || c.json[end] != '"' || !bytes.Equal(c.json[c.at+1:end], name) {
		return false
	}
	c.at = end + 1
	c.last = name
	c.colon()
	return true
}

// element moves to the next element of an array and reports whether there is one.
func (c *cursor) element() bool {
	b := c.peek()
	if b == ',' {
		c.at++
		b = c.peek()
	}
	return b != ']' && b != 0
}

// value reads a value.
func (c *cursor) value() []byte {
	c.peek()
	start := c.at
	c.skip()
	if start >= c.at {
		c.at = len(c.json)
		return []byte("null")
	}
	return c.json[start:c.at]
}

// skip passes over a value.
func (c *cursor) skip() {
	switch c.peek() {
	case '"':
		c.at = stringEnd(c.json, c.at)
	case '{', '[':
		depth := 0
		for c.at < len(c.json) {
			switch c.json[c.at] {
			case '"':
				c.at = stringEnd(c.json, c.at)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			c.at++
			if depth == 0 {
				return
			}
		}
	default:
		for c.at < len(c.json) && !ends(c.json[c.at]) {
			c.at++
		}
	}
}

// ends reports whether a number or a name of JSON ends before that byte.
func ends(b byte) bool { return b <= ' ' || b == ',' || b == '}' || b == ']' }

// skipSame passes over a value if it is these bytes.
func (c *cursor) skipSame(v []byte) bool {
	c.peek()
	if !bytes.HasPrefix(c.json[c.at:], v) {
		return false
	}
	end := c.at + len(v)
	if end < len(c.json) && !ends(c.json[end]) && !isString(v) && !isObject(v) && !isArray(v) {
		return false
	}
	c.at = end
	return true
}

// stringEnd is the index after the string that begins at start.
func stringEnd(json []byte, start int) int {
	for i := start + 1; ; {
		n := bytes.IndexByte(json[i:], '"')
		if n < 0 {
			return len(json)
		}
		i += n + 1
		if json[i-2] != '\\' || !escaped(json[:i-1]) {
			return i
		}
	}
}

// escaped reports whether what comes after these bytes is escaped by them.
func escaped(json []byte) bool {
	n := len(json)
	for n > 0 && json[n-1] == '\\' {
		n--
	}
	return (len(json)-n)%2 == 1
}
