package https

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/forward"
)

func TestAddressesThatTheDefaultPolicyRefuses(t *testing.T) {
	refused := []string{
		"169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192",
		"0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.250", "ff02::1", "255.255.255.255", "240.0.0.1",
		"127.0.0.1", "127.0.0.2", "127.255.255.254", "::1",
		"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "198.18.0.1", "192.0.0.8", "fc00::1", "fd12:3456::1", "fec0::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0",
		"::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::10.0.0.1", "64:ff9b:1::1",
		"::ffff:0:127.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe",
	}
	for _, s := range refused {
		if err := (DialPolicy{}).Guard(netip.AddrPortFrom(netip.MustParseAddr(s), 443)); err == nil {
			t.Errorf("%s is allowed", s)
		}
		c := forward.New("https", net.JoinHostPort(s, "443"), forward.Options{Guard: DialPolicy{}.Guard})
		_, err := c.Do(t.Context(), forward.Request{Method: http.MethodGet, Path: "/", Header: http.Header{}})
		_ = c.Close()
		noIPv6 := strings.Contains(s, ":") && (errors.Is(err, syscall.EAFNOSUPPORT) || strings.Contains(s, "%"))
		if !noIPv6 && !strings.Contains(core.ErrorMessage(err), "an address that this gateway does not call") {
			t.Errorf("dialling %s: %v, want it refused before it starts", s, err)
		}
	}
	if err := (DialPolicy{}).Guard(netip.AddrPort{}); err == nil {
		t.Error("no address at all is allowed")
	}
	for _, s := range []string{"93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:2800:220:1::1", "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"} {
		if err := (DialPolicy{}).Guard(netip.AddrPortFrom(netip.MustParseAddr(s), 443)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestWhatTheOperatorCanAllow(t *testing.T) {
	all := DialPolicy{AllowPrivate: true, AllowLoopback: true, Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
	for _, s := range []string{"10.0.0.1", "127.0.0.1", "::1", "fd12::1", "::ffff:192.168.1.1", "2002:a00:1::"} {
		if err := all.Guard(netip.AddrPortFrom(netip.MustParseAddr(s), 443)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "64:ff9b::a9fe:a9fe"} {
		if err := all.Guard(netip.AddrPortFrom(netip.MustParseAddr(s), 443)); err == nil {
			t.Errorf("%s can be allowed", s)
		}
	}
	one := DialPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	if err := one.Guard(netip.MustParseAddrPort("10.1.2.3:443")); err != nil {
		t.Error(err)
	}
	if err := one.Guard(netip.MustParseAddrPort("10.2.0.1:443")); err == nil {
		t.Error("10.2.0.1 is allowed")
	}
	if err := (DialPolicy{AllowPrivate: true}).Guard(netip.MustParseAddrPort("127.0.0.1:443")); err == nil {
		t.Error("loopback is allowed where only private is")
	}
}

func TestTheGatewaysOwnListenersAreNeverCalled(t *testing.T) {
	open := DialPolicy{AllowPrivate: true, AllowLoopback: true}
	for own, targets := range map[string]map[string]bool{
		"127.0.0.1:8443": {"127.0.0.1:8443": false, "127.0.0.1:8444": true, "[::ffff:127.0.0.1]:8443": false, "[64:ff9b::127.0.0.1]:8443": false},
		"0.0.0.0:8443":   {"127.0.0.1:8443": false, "127.9.9.9:8443": false, "[::1]:8443": false, "10.255.255.1:8443": true, "127.0.0.1:443": true},
		"[::]:8443":      {"127.0.0.1:8443": false, "[::1]:8443": false, "127.0.0.1:80": true},
		"10.0.0.5:443":   {"10.0.0.5:443": false, "10.0.0.6:443": true},
	} {
		p := open
		p.Own = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort(own)}
		for target, ok := range targets {
			if err := p.Guard(netip.MustParseAddrPort(target)); (err == nil) != ok {
				t.Errorf("listening on %s, dialling %s: %v, want allowed %v", own, target, err, ok)
			}
		}
	}
}

// nameServer answers every question for an IPv4 address with what addr gives;
// an invalid address is "no such name". It runs on UDP over loopback.
func nameServer(t *testing.T, addr func(n int64) netip.Addr) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	var asked atomic.Int64
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := dnsAnswer(buf[:n], func() netip.Addr { return addr(asked.Add(1)) }); answer != nil {
				_, _ = pc.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func dnsAnswer(q []byte, addr func() netip.Addr) []byte {
	end := 12
	for end < len(q) && q[end] != 0 {
		end += int(q[end]) + 1
	}
	end += 5
	if end > len(q) {
		return nil
	}
	a := append([]byte{}, q[:end]...)
	binary.BigEndian.PutUint16(a[2:], 0x8180)
	for i := 6; i < 12; i++ {
		a[i] = 0
	}
	if binary.BigEndian.Uint16(q[end-4:]) != 1 { // not a question for IPv4
		return a
	}
	ip := addr()
	if !ip.IsValid() {
		a[3] |= 3 // no such name
		return a
	}
	a[7] = 1
	a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
	v4 := ip.As4()
	return append(a, v4[:]...)
}

func TestANameThatComesToStandForAForbiddenAddressIsNotDialled(t *testing.T) {
	ca := newAuthority(t, "ca")
	var reached atomic.Int64
	s := ca.server(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }), nil)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "https://"))
	current := atomic.Pointer[netip.Addr]{}
	set := func(a string) { ip := netip.MustParseAddr(a); current.Store(&ip) }
	resolver := nameServer(t, func(int64) netip.Addr { return *current.Load() })

	set("127.0.0.1")
	c := ca.dial(t, "https://origin.test:"+port, func(o *Options) { o.Resolver = resolver })
	m, err := c.Do(t.Context(), get("x"))
	read(t, m, err)
	if reached.Load() != 1 {
		t.Fatal("the endpoint was not reached by its name")
	}
	for _, a := range []string{"169.254.169.254", "0.0.0.0", "10.0.0.1", "224.0.0.1", "100.100.100.200"} {
		set(a)
		s.CloseClientConnections()
		_, err := c.Do(t.Context(), get("x"))
		fails(t, err, core.BadUpstream, "address that this gateway does not call")
	}
	if reached.Load() != 1 {
		t.Error("the endpoint was reached under a forbidden address")
	}
	c = ca.dial(t, "https://origin.test:"+port, func(o *Options) { o.Resolver, o.Guard = resolver, nil })
	set("127.0.0.1")
	_, err = c.Do(t.Context(), get("x"))
	fails(t, err, core.BadUpstream, "address that this gateway does not call")
}

func TestNameServiceFailuresAreBadUpstreamAndPass(t *testing.T) {
	ca := newAuthority(t, "ca")
	s := ca.server(t, http.HandlerFunc(echo), nil)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "https://"))
	var broken atomic.Bool
	broken.Store(true)
	resolver := nameServer(t, func(int64) netip.Addr {
		if broken.Load() {
			return netip.Addr{}
		}
		return netip.MustParseAddr("127.0.0.1")
	})
	c := ca.dial(t, "https://origin.test.:"+port, func(o *Options) { o.Resolver = resolver })
	_, err := c.Do(t.Context(), get("x"))
	fails(t, err, core.BadUpstream, "not known to the name service")
	broken.Store(false)
	m, err := c.Do(t.Context(), get("x"))
	read(t, m, err)

	dead := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: net.ErrClosed}
	}}
	_, err = ca.dial(t, "https://origin.test.:"+port, func(o *Options) { o.Resolver = dead }).Do(t.Context(), get("x"))
	fails(t, err, core.BadUpstream, "name service")
}

func FuzzGuard(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1}, uint16(443))
	f.Add(netip.MustParseAddr("64:ff9b::a00:1").AsSlice(), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		plain := (DialPolicy{}).Guard(netip.AddrPortFrom(a, port))
		mapped := (DialPolicy{}).Guard(netip.AddrPortFrom(netip.AddrFrom16(a.As16()), port))
		if (plain == nil) != (mapped == nil) {
			t.Errorf("%s: %v, mapped: %v", a, plain, mapped)
		}
		u := a.Unmap()
		if plain == nil && (u.IsLoopback() || u.IsPrivate() || u.IsLinkLocalUnicast() || u.IsMulticast() || u.IsUnspecified()) {
			t.Errorf("%s is allowed", a)
		}
	})
}
