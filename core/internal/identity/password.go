package identity

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/annex-gateway/annex/core"
)

// Cost is what one password check may cost. Zero fields mean the defaults:
// 64 MiB, 2 passes, 1 lane, and as many checks at once as there are
// processors, but at most 4.
type Cost struct {
	MemoryKiB   uint32
	Passes      uint32
	Lanes       uint8
	Concurrency int
}

func (c Cost) orDefault(processors int) Cost {
	if c.MemoryKiB == 0 {
		c.MemoryKiB = 64 << 10
	}
	if c.Passes == 0 {
		c.Passes = 2
	}
	if c.Lanes == 0 {
		c.Lanes = 1
	}
	if c.Concurrency <= 0 {
		c.Concurrency = min(processors, 4)
	}
	c.MemoryKiB = min(max(c.MemoryKiB, minMemory), maxMemory)
	c.Passes, c.Lanes = min(c.Passes, maxPasses), min(c.Lanes, maxLanes)
	return c
}

// Within these limits a stored hash is believed.
const (
	minMemory, maxMemory = 8, 1 << 20 // KiB
	maxPasses, maxLanes  = 64, 64
)

const (
	maxPassword = 1024 // bytes
	saltBytes   = 16
	tagBytes    = 32
	maxWait     = 10 * time.Second // for a turn, when the caller sets no limit
	maxWaiters  = 64               // per check that may run at once
)

// hasher makes and checks argon2id hashes, few at a time: each takes much
// memory by intent.
type hasher struct {
	cost     Cost
	turns    chan struct{}
	reserved chan struct{} // one more turn, for the administrator at the machine
	waiting  atomic.Int64
	nobody   phc // what an unknown user is checked against
}

func newHasher(c Cost) *hasher {
	return &hasher{
		cost: c, turns: make(chan struct{}, c.Concurrency), reserved: make(chan struct{}, 1),
		nobody: phc{c, randomBytes(saltBytes), randomBytes(tagBytes)},
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails; see crypto/rand
	return b
}

// HashPassword makes the form in which a password is stored. A password has 1
// to 1024 bytes.
func (m *Identity) HashPassword(ctx context.Context, password string) (string, error) {
	if password == "" || len(password) > maxPassword {
		return "", core.Errorf(core.Invalid, "password: 1 to %d bytes are needed, this one has %d", maxPassword, len(password))
	}
	h := m.passwords
	done, err := h.turn(ctx, false)
	if err != nil {
		return "", err
	}
	defer done()
	salt := randomBytes(saltBytes)
	tag := argon2.IDKey([]byte(password), salt, h.cost.Passes, h.cost.MemoryKiB, h.cost.Lanes, tagBytes)
	return phc{h.cost, salt, tag}.String(), nil
}

// PasswordIs reports whether a password is the one that was stored.
func (m *Identity) PasswordIs(ctx context.Context, stored, password string) (bool, error) {
	return m.passwords.check(ctx, password, stored, false)
}

// SetPassword gives a user another password and ends the sessions that were
// opened with the old one.
func (m *Identity) SetPassword(ctx context.Context, userID, password string) error {
	hash, err := m.HashPassword(ctx, password)
	if err != nil {
		return err
	}
	_, err = m.cat.Users.Update(ctx, "", userID, nil, func(u core.User) (core.User, error) {
		u.Password = hash
		return u, nil
	})
	if err != nil {
		return err
	}
	return m.RevokeUserSessions(ctx, userID)
}

// check reports whether stored is the hash of password. One that is empty or
// cannot be read takes as long as any other and never fits.
func (h *hasher) check(ctx context.Context, password, stored string, reserved bool) (bool, error) {
	known, ok := parsePHC(stored)
	if !ok {
		known = h.nobody
	}
	done, err := h.turn(ctx, reserved)
	if err != nil {
		return false, err
	}
	defer done()
	tag := argon2.IDKey([]byte(password), known.salt, known.Passes, known.MemoryKiB, known.Lanes, uint32(len(known.tag)))
	return subtle.ConstantTimeCompare(tag, known.tag) == 1 && ok, nil
}

// turn waits until a check may run, no longer than ctx lasts.
func (h *hasher) turn(ctx context.Context, reserved bool) (done func(), err error) {
	extra := h.reserved
	if !reserved {
		extra = nil
		if h.waiting.Load() >= maxWaiters*int64(cap(h.turns)) {
			return nil, core.Errorf(core.TooMany, "too many passwords are being checked: try again in a moment")
		}
	}
	h.waiting.Add(1)
	defer h.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns }, nil
	case extra <- struct{}{}:
		return func() { <-h.reserved }, nil
	case <-ctx.Done():
		return nil, core.WrapError(core.Unavailable, ctx.Err(), "the gateway is busy checking passwords: try again in a moment")
	}
}

// phc is a hash in its parts. It is stored in the string format of the
// password hashing competition.
type phc struct {
	Cost
	salt, tag []byte
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.MemoryKiB, p.Passes, p.Lanes, b64.EncodeToString(p.salt), b64.EncodeToString(p.tag))
}

// parsePHC reads a stored hash. Its limits keep a damaged one from taking the
// gateway's memory or time.
func parsePHC(s string) (phc, bool) {
	var p phc
	f := strings.Split(s, "$")
	if len(f) != 6 {
		return p, false
	}
	if n, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &p.MemoryKiB, &p.Passes, &p.Lanes); n != 3 || err != nil {
		return p, false
	}
	if !within(p.MemoryKiB, minMemory, maxMemory) || !within(p.Passes, 1, maxPasses) || !within(p.Lanes, 1, maxLanes) {
		return p, false
	}
	b64 := base64.RawStdEncoding.Strict()
	var err1, err2 error
	p.salt, err1 = b64.DecodeString(f[4])
	p.tag, err2 = b64.DecodeString(f[5])
	if err1 != nil || err2 != nil || !within(len(p.salt), 8, 64) || !within(len(p.tag), 16, 64) {
		return p, false
	}
	return p, p.String() == s
}

func within[N cmp.Ordered](n, least, most N) bool { return least <= n && n <= most }
