package storage

import (
	"fmt"
	"strings"
)

// MaxKey is the length of the longest key, in bytes, on every database.
const MaxKey = 1024

// Validate finds what makes a commit impossible on every database. The error is
// an ErrInvalid.
func (c Commit) Validate() error {
	if len(c.Writes) == 0 {
		return fmt.Errorf("%w: a commit without writes", ErrInvalid)
	}
	seen := make(map[string]struct{}, len(c.Writes)+len(c.Checks))
	for _, w := range c.Writes {
		if err := validKey(w.Key, seen); err != nil {
			return err
		}
	}
	for _, k := range c.Checks {
		if err := validKey(k.Key, seen); err != nil {
			return err
		}
	}
	return nil
}

// Conflict compares a condition with the revision that an entry is at: nil, or
// a *ConflictError.
func Conflict(key string, want, have Revision) error {
	if want == have {
		return nil
	}
	return &ConflictError{Key: key, Want: want, Have: have}
}

// ValidatePrefix says whether List and Watch take prefix. The error is an
// ErrInvalid.
func ValidatePrefix(prefix string) error {
	if prefix == "" || strings.HasSuffix(prefix, "/") {
		return nil
	}
	return fmt.Errorf("%w: the prefix %q does not end in '/'", ErrInvalid, prefix)
}

func validKey(key string, seen map[string]struct{}) error {
	switch _, double := seen[key]; {
	case key == "":
		return fmt.Errorf("%w: an empty key", ErrInvalid)
	case len(key) > MaxKey:
		return fmt.Errorf("%w: a key of %d bytes that begins with %q; keys have at most %d bytes",
			ErrInvalid, len(key), key[:64], MaxKey)
	case double:
		return fmt.Errorf("%w: the key %q occurs twice in one commit", ErrInvalid, key)
	}
	seen[key] = struct{}{}
	return nil
}
