package https

import (
	"errors"
	"net"
	"net/netip"
	"slices"
)

// DialPolicy says which addresses endpoints may have. Link-local and metadata
// addresses, multicast, broadcast and unspecified ones and the gateway's own
// listeners are never allowed; private and loopback ones only when the
// operator says so. An IPv4 address inside an IPv6 one is judged as itself.
type DialPolicy struct {
	AllowPrivate, AllowLoopback bool
	// Allow are private or loopback networks that are allowed one by one.
	Allow []netip.Prefix
	// Own are the gateway's own listeners. An unspecified address stands for
	// every address of this machine.
	Own []netip.AddrPort
}

var (
	errNever    = errors.New("an address that is never called: link-local, metadata, multicast, reserved or unspecified")
	errOwn      = errors.New("the gateway's own listener")
	errLoopback = errors.New("a loopback address, which the operator does not allow")
	errPrivate  = errors.New("a private address, which the operator does not allow")
)

// Guard returns nil when ap may be dialled, or why not.
func (p DialPolicy) Guard(ap netip.AddrPort) error {
	addr := inner(ap.Addr().WithZone("").Unmap())
	switch {
	case !addr.IsValid() || isIn(addr, neverCalled()):
		return errNever
	case p.isOwn(netip.AddrPortFrom(addr, ap.Port())):
		return errOwn
	case slices.ContainsFunc(p.Allow, func(n netip.Prefix) bool { return n.Contains(addr) }):
		return nil
	case addr.IsLoopback() && !p.AllowLoopback:
		return errLoopback
	case isIn(addr, privateNets()) && !p.AllowPrivate:
		return errPrivate
	}
	return nil
}

func (p DialPolicy) isOwn(ap netip.AddrPort) bool {
	for _, own := range p.Own {
		if own.Port() != ap.Port() {
			continue
		}
		at := own.Addr().WithZone("").Unmap()
		if at == ap.Addr() || (at.IsUnspecified() && isLocal(ap.Addr())) {
			return true
		}
	}
	return false
}

// isLocal reports whether addr is one of this machine. When the machine does
// not tell, every address counts.
func isLocal(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(nets, func(n net.Addr) bool {
		ipn, ok := n.(*net.IPNet)
		if !ok {
			return false
		}
		a, ok := netip.AddrFromSlice(ipn.IP)
		return ok && a.Unmap() == addr
	})
}

func isIn(addr netip.Addr, nets []string) bool {
	return slices.ContainsFunc(nets, func(n string) bool { return netip.MustParsePrefix(n).Contains(addr) })
}

func neverCalled() []string {
	return []string{
		"0.0.0.0/8", "::/128", // this host
		"169.254.0.0/16", "fe80::/10", // link-local, with most metadata services
		"224.0.0.0/4", "ff00::/8", // multicast
		"240.0.0.0/4", // reserved, broadcast
		// metadata services outside link-local
		"168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128", "fd20:ce::254/128",
	}
}

func privateNets() []string {
	return []string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
		"100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15",
		"fc00::/7", "fec0::/10", "64:ff9b:1::/48",
	}
}

// inner is the IPv4 address that a translating or tunnelling IPv6 address
// leads to, or addr itself.
func inner(addr netip.Addr) netip.Addr {
	if !addr.Is6() || addr.IsLoopback() || addr.IsUnspecified() {
		return addr
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:16]))
	switch {
	case isIn(addr, []string{"::/96", "64:ff9b::/96", "::ffff:0:0:0/96"}):
		return last
	case isIn(addr, []string{"2002::/16"}):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case isIn(addr, []string{"2001::/32"}):
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
	}
	return addr
}
