package https

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/annex-gateway/annex/core"
)

// Options are what can be set; the zero Options trusts no certificate and
// dials public addresses only.
type Options struct {
	// Trust gives the certificate authorities that endpoints are checked
	// against. Nil trusts nobody; see [SystemRoots].
	Trust Trust
	// Guard judges every address before it is dialled. Nil is the zero
	// [DialPolicy].
	Guard func(netip.AddrPort) error
	// Resolver looks host names up; nil is the machine's.
	Resolver *net.Resolver
	// DialTimeout bounds connecting, and once more the TLS handshake;
	// default 10 s.
	DialTimeout time.Duration
	// AnswerTimeout bounds the wait for the answer's header after the request
	// was sent; default 60 s. The context of the call may end earlier.
	AnswerTimeout time.Duration
	// IdleTimeout bounds a standstill of a body, and the silence in both
	// directions of a WebSocket; default 5 min.
	IdleTimeout time.Duration
	// CloseTimeout bounds how long Close lets calls in flight go on;
	// default 10 s.
	CloseTimeout time.Duration
	// MaxInFlight bounds the exchanges of one endpoint at a time, WebSockets
	// included; default 1024.
	MaxInFlight int
}

func (o Options) withDefaults() Options {
	if o.Trust == nil {
		o.Trust = TrustOnly(x509.NewCertPool())
	}
	if o.Guard == nil {
		o.Guard = DialPolicy{}.Guard
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 1024
	}
	return o
}

// Kind is the kind of external endpoints.
type Kind struct {
	opts   Options
	signer core.IdentitySigner // nil when the host has none
	log    *slog.Logger
}

// New makes the kind. The host may offer [core.IdentitySigner] and
// [core.Truster].
func New(host core.Host, opts Options) *Kind {
	signer, _ := host.(core.IdentitySigner)
	opts = opts.withDefaults()
	if t, ok := host.(core.Truster); ok {
		opts.Trust = registeredTrust{t, opts.Trust}
	}
	return &Kind{opts: opts, signer: signer, log: host.Log()}
}

// Name is core.KindHTTPS.
func (k *Kind) Name() string { return core.KindHTTPS }

// Stages is the dispatch stage alone.
func (k *Kind) Stages() []core.Stage { return []core.Stage{core.OnDispatch} }

// Check judges the root URL without looking its host up.
func (k *Kind) Check(_ context.Context, sys core.System) error {
	_, _, err := k.settings(sys)
	return err
}

// Open makes a Conn. It does not dial.
func (k *Kind) Open(_ context.Context, sys core.System) (core.Conn, error) {
	set, root, err := k.settings(sys)
	if err != nil {
		return nil, err
	}
	c := k.newConn(sys, root)
	if !set.NoIdentity {
		c.signer = k.signer
	}
	return c, nil
}

func (k *Kind) settings(sys core.System) (core.HTTPSSettings, rootURL, error) {
	if sys.Kind != core.KindHTTPS {
		return core.HTTPSSettings{}, rootURL{}, core.Errorf(core.Invalid, "%s is of kind %q: an external endpoint of kind %q is needed", sys.Triplet(), sys.Kind, core.KindHTTPS)
	}
	set, err := core.DecodeSettings[core.HTTPSSettings](sys)
	if err != nil {
		return set, rootURL{}, err
	}
	root, err := parseRootURL(set.RootURL)
	if err != nil {
		return set, root, err
	}
	return set, root, k.checkLiteral(root)
}

// checkLiteral tells at registration what Guard would say on every call.
// Names are judged when they are dialled, by what they then stand for.
func (k *Kind) checkLiteral(root rootURL) error {
	addr, literal := root.addr()
	if !literal {
		return nil
	}
	if err := k.opts.Guard(netip.AddrPortFrom(addr, root.port)); err != nil {
		return core.WrapError(core.Invalid, err, "rootUrl: this gateway does not call the address of %q; the operator can allow private and loopback addresses", root.host)
	}
	return nil
}
