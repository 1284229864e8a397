package identity

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/annex-gateway/annex/core"
)

// keyring remembers keys in the form that computes, by kid.
type keyring struct{ pairs sync.Map }

type keyPair struct {
	private  *ecdsa.PrivateKey
	public   *ecdsa.PublicKey
	revision uint64
}

func (r *keyring) pair(key core.SigningKey) (*keyPair, error) {
	if p, ok := r.pairs.Load(key.ID); ok && p.(*keyPair).revision == key.Revision {
		return p.(*keyPair), nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key.Private)
	if err != nil {
		return nil, core.WrapError(core.Internal, err, "a stored signing key cannot be read")
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, core.Errorf(core.Internal, "a stored signing key is not of the curve P-256")
	}
	p := &keyPair{private, &private.PublicKey, key.Revision}
	r.pairs.Store(key.ID, p)
	return p, nil
}

// keep forgets all keys but those that keep names.
func (r *keyring) keep(known func(kid string) bool) {
	r.pairs.Range(func(kid, _ any) bool {
		if !known(kid.(string)) {
			r.pairs.Delete(kid)
		}
		return true
	})
}

// newest returns the key to sign with.
func newest(keys []core.SigningKey) (core.SigningKey, bool) {
	keys = slices.DeleteFunc(keys, func(k core.SigningKey) bool { return !k.Retired.IsZero() })
	if len(keys) == 0 {
		return core.SigningKey{}, false
	}
	return slices.MaxFunc(keys, func(a, b core.SigningKey) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	}), true
}

// verifies reports whether key still verifies: a retired one until whatever
// it signed has expired.
func (m *Identity) verifies(key core.SigningKey, now time.Time) bool {
	return key.Retired.IsZero() || now.Before(key.Retired.Add(m.opts.SessionTTL+2*leeway))
}

// RotateKey makes a new signing key and retires those before it. What they
// signed stays good until it expires.
func (m *Identity) RotateKey(ctx context.Context, by string) error {
	old := m.view().Directory.Keys()
	if err := m.createKey(ctx, by); err != nil {
		return err
	}
	for _, k := range old {
		if !k.Retired.IsZero() {
			continue
		}
		_, err := m.cat.Keys.Update(ctx, by, k.ID, nil, func(k core.SigningKey) (core.SigningKey, error) {
			if k.Retired.IsZero() {
				k.Retired = m.opts.Now().UTC()
			}
			return k, nil
		})
		if err != nil && core.ErrorCode(err) != core.NotFound {
			return err
		}
	}
	return nil
}

// rotateDueKey makes a new signing key when the present one is old. Nodes that
// do so at the same time make one each, of which the last one signs.
func (m *Identity) rotateDueKey(ctx context.Context, now time.Time) error {
	k, ok := newest(m.view().Directory.Keys())
	if m.opts.KeyPeriod < 0 || ok && now.Before(k.Created.Add(m.opts.KeyPeriod)) {
		return nil
	}
	return m.RotateKey(ctx, "")
}

// sweepKeys deletes the keys that verify nothing any more.
func (m *Identity) sweepKeys(ctx context.Context, now time.Time) error {
	var errs []error
	for _, k := range m.view().Directory.Keys() {
		if m.verifies(k, now) {
			continue
		}
		if err := m.cat.Keys.Delete(ctx, k.ID, nil); err != nil && core.ErrorCode(err) != core.NotFound {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (m *Identity) createKey(ctx context.Context, by string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return core.WrapError(core.Internal, err, "a signing key could not be made")
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return core.WrapError(core.Internal, err, "a signing key could not be made")
	}
	_, err = m.cat.Keys.Create(ctx, by, core.SigningKey{ID: core.NewUUID(), Private: der})
	return err
}

// jwk is a public key as RFC 7517 writes it.
type jwk struct {
	Type      string `json:"kty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

// JWKS returns the public keys as a JSON Web Key Set, for whoever checks the
// identities that the gateway signs.
func (m *Identity) JWKS() []byte {
	now := m.opts.Now()
	set := struct {
		Keys []jwk `json:"keys"`
	}{[]jwk{}}
	for _, k := range m.view().Directory.Keys() {
		pair, err := m.keys.pair(k)
		if err != nil || !m.verifies(k, now) {
			continue
		}
		point, err := pair.public.Bytes() // 4, x, y
		if err != nil {
			continue
		}
		b64 := base64.RawURLEncoding
		half := 1 + len(point)/2
		set.Keys = append(set.Keys, jwk{
			Type: "EC", Use: "sig", Algorithm: algorithm, KeyID: k.ID, Curve: "P-256",
			X: b64.EncodeToString(point[1:half]), Y: b64.EncodeToString(point[half:]),
		})
	}
	slices.SortFunc(set.Keys, func(a, b jwk) int { return cmp.Compare(a.KeyID, b.KeyID) })
	b, err := json.Marshal(set)
	if err != nil {
		m.opts.Log.Error("the public keys could not be written", "err", err)
		return []byte(`{"keys":[]}`)
	}
	return b
}
