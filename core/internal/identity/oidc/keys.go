package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// The sizes of RSA keys that are used: smaller ones can be broken, larger
// ones take too long.
const (
	minRSA, maxRSA = 2048, 8192 // bits
	maxExponent    = 4          // bytes
)

// maxKeys bounds how many keys one issuer may publish.
const maxKeys = 100

// keySet is what an issuer has published. It never changes.
type keySet struct{ keys []key }

// key is a public key and the algorithms that it verifies: those of its type,
// whatever a token says.
type key struct {
	id         string
	public     crypto.PublicKey
	algorithms []jwt.SigningMethod
}

// find returns the keys that a token with that header may be signed with. One
// that names no key must leave no choice.
func (s *keySet) find(h header) (keys []crypto.PublicKey, method jwt.SigningMethod) {
	for _, k := range s.keys {
		i := slices.IndexFunc(k.algorithms, func(m jwt.SigningMethod) bool { return m.Alg() == h.Algorithm })
		if i < 0 || h.KeyID != "" && k.id != h.KeyID {
			continue
		}
		keys, method = append(keys, k.public), k.algorithms[i]
	}
	if h.KeyID == "" && len(keys) != 1 {
		return nil, nil
	}
	return keys, method
}

// jwk is what is read of a published key; see RFC 7517 and 7518.
type jwk struct {
	Type       string   `json:"kty"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
	Algorithm  string   `json:"alg"`
	KeyID      string   `json:"kid"`
	Curve      string   `json:"crv"`
	N          string   `json:"n"`
	E          string   `json:"e"`
	X          string   `json:"x"`
	Y          string   `json:"y"`
}

// parseKeys reads a published key set. Keys that are not for signatures, or
// that cannot be used here, are passed over: an issuer may have them for
// others.
func parseKeys(body []byte) (*keySet, error) {
	var doc struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	switch {
	case doc.Keys == nil:
		return nil, errors.New("the key set has no list of keys")
	case len(doc.Keys) > maxKeys:
		return nil, errors.New("the key set has too many keys")
	}
	s := &keySet{}
	for _, raw := range doc.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil {
			continue
		}
		if k, ok := j.key(); ok {
			s.keys = append(s.keys, k)
		}
	}
	return s, nil
}

// key makes the key ready for use.
func (j jwk) key() (key, bool) {
	if j.Use != "" && j.Use != "sig" || j.Operations != nil && !slices.Contains(j.Operations, "verify") {
		return key{}, false
	}
	k := key{id: j.KeyID}
	switch j.Type {
	case "RSA":
		k.public, k.algorithms = j.rsa(), []jwt.SigningMethod{jwt.SigningMethodRS256, jwt.SigningMethodPS256}
	case "EC":
		k.public, k.algorithms = j.ec(), []jwt.SigningMethod{jwt.SigningMethodES256}
	case "OKP":
		k.public, k.algorithms = j.okp(), []jwt.SigningMethod{jwt.SigningMethodEdDSA}
	}
	if j.Algorithm != "" {
		k.algorithms = slices.DeleteFunc(k.algorithms, func(m jwt.SigningMethod) bool { return m.Alg() != j.Algorithm })
	}
	return k, k.public != nil && len(k.algorithms) > 0
}

// number reads the bytes of a number, which some issuers pad.
func number(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil
	}
	return b
}

func (j jwk) rsa() crypto.PublicKey {
	n, e := new(big.Int).SetBytes(number(j.N)), number(j.E)
	if n.BitLen() < minRSA || n.BitLen() > maxRSA || n.Bit(0) == 0 || len(e) == 0 || len(e) > maxExponent {
		return nil
	}
	exponent := new(big.Int).SetBytes(e).Int64()
	if exponent < 3 || exponent >= 1<<31 || exponent%2 == 0 {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(exponent)}
}

func (j jwk) ec() crypto.PublicKey {
	const size = 32
	x, y := number(j.X), number(j.Y)
	if j.Curve != "P-256" || len(x) != size || len(y) != size {
		return nil
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil
	}
	return public
}

func (j jwk) okp() crypto.PublicKey {
	x := number(j.X)
	if j.Curve != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil
	}
	return ed25519.PublicKey(x)
}
