package localca

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

func TestAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	ca, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM())

	t.Run("an issued certificate is good for its names and for no other", func(t *testing.T) {
		cert, err := ca.Issue("localhost", "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "example.com": false} {
			_, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host})
			if (err == nil) != want {
				t.Errorf("%s: verified %v, want %v (%v)", host, err == nil, want, err)
			}
		}
	})
	t.Run("a second start finds the same authority", func(t *testing.T) {
		again, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.PEM(), ca.PEM()) {
			t.Error("the authority changed")
		}
	})
	t.Run("nobody else may read the key", func(t *testing.T) {
		st, err := os.Stat(filepath.Join(dir, "ca.key"))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm()&0o077 != 0 {
			t.Errorf("mode %v", st.Mode())
		}
	})
	t.Run("a damaged authority is an error that names the directory", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !bytes.Contains([]byte(err.Error()), []byte(dir)) {
			t.Errorf("got %v", err)
		}
	})
}
