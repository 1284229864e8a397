package identity

import (
	"testing"

	"github.com/annex-gateway/annex/core"
)

func BenchmarkIdentify(b *testing.B) {
	h := start(b, Options{})
	s := h.login(b, eve())
	sdk := get("/api/x", "X-Vmware-Vcloud-Access-Token", s.Token, "Authorization", "bearer "+s.Token)
	page := get("/ext-ui/provider/x", "Cookie", "a=b; vcloud_jwt="+s.Token)
	for name, r := range map[string]core.Request{"warm": bearerOf(s.Token), "warm-sdk-two-headers": sdk, "warm-cookie": page} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Identify(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("warm-parallel", func(b *testing.B) {
		b.ReportAllocs()
		r := bearerOf(s.Token)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := h.Identify(b.Context(), r); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		r := bearerOf(s.Token)
		for b.Loop() {
			h.verified = newCache[verified](2)
			if _, err := h.Identify(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("refused-signature", func(b *testing.B) {
		b.ReportAllocs()
		r := bearerOf(s.Token[:len(s.Token)-8] + "AAAAAAAA")
		for b.Loop() {
			if _, err := h.Identify(b.Context(), r); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}

func BenchmarkMintToken(b *testing.B) {
	h := start(b, Options{})
	s := h.login(b, eve())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.MintToken(b.Context(), s.Caller); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignIdentity(b *testing.B) {
	h := start(b, Options{})
	s := h.login(b, admin())
	b.Run("warm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.SignIdentity(b.Context(), s.Caller, "urn:vcloud:extensionEndpoint:acme:ui:1.0.0", ""); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.issued = newCache[issued](2)
			if _, err := h.SignIdentity(b.Context(), s.Caller, "urn:vcloud:extensionEndpoint:acme:ui:1.0.0", ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAdmit(b *testing.B) {
	h := start(b, Options{})
	sys := h.addService(b, "backup")
	_, secret, err := h.IssueExtensionToken(b.Context(), "", "x", sys.ID)
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := h.Admit(b.Context(), sys.Triplet(), secret); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPasswordAtDefaultCost(b *testing.B) {
	h := newHasher(Cost{}.orDefault(2))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.check(b.Context(), password, "", false); err != nil {
			b.Fatal(err)
		}
	}
}
