package operator

import (
	"context"
	"strings"
)

// noun describes an entity of the JSON API to the commands, which are the same
// for all.
type noun struct {
	word   string // of the command
	what   string // for people
	path   string // of the collection
	prefix string // of ids
	naming naming
	fields []field
	// columns of tables. What is shown once, such as a secret, is in once.
	columns, once []column
	enabled       string // member that enable and disable set; empty: there is none
	fixed         bool   // cannot be made or changed
	constant      bool   // can be made, but not changed
	recursive     bool   // goes with all that belongs to it, when told so
	// complete puts what follows from the flags into the body of a POST or PUT.
	complete func(body map[string]any, given func(flag string) bool)
	// sub is a collection below the entity that a flag of kind members replaces.
	sub string
	// upload prepares what has to be there before the entity; may be nil.
	upload func(ctx context.Context, u uploading) error
}

// naming says how people name an entity, beside its id.
type naming struct {
	attribute string // that holds the name; empty: only ids
	triplet   bool   // VENDOR/NAME/VERSION
	member    bool   // NAME@ORGANISATION
	// parent is the noun of what PARENT/NAME begins with; under is the member
	// that holds its id. Empty: names stand alone.
	parent, under string
}

// help tells how an entity is named.
func (n noun) help() string {
	switch {
	case n.naming.triplet:
		return "VENDOR/NAME/VERSION, a name that is unique, or an id"
	case n.naming.member:
		return "NAME@ORGANISATION, a name that is unique, or an id"
	case n.naming.parent != "":
		return strings.ToUpper(n.naming.parent) + "/NAME, a name that is unique, or an id"
	case n.naming.attribute == "":
		return "an id"
	}
	return "a name or an id"
}

// kind is what the value of a flag is.
type kind int

const (
	words      kind = iota // a text
	truth                  // true or false
	whole                  // a whole number
	several                // texts; the flag may be repeated
	pairs                  // NAME=VALUE; the flag may be repeated
	content                // a file, whose text counts
	secret                 // a file, whose first line counts; - for standard input
	document               // JSON, or @FILE
	reference              // names another entity
	references             // names other entities; the flag may be repeated
	members                // names entities of the sub collection; may be repeated
	reach                  // of an ACL rule: a word, or another entity
)

// field is a member that a flag sets.
type field struct {
	flag, path, help string
	kind             kind
	nouns            []string // that a reference may name
	needed           bool     // for a new entity
	initial          any      // of a new entity, when the flag is not given
	born             bool     // cannot be changed later
}

// set puts a value at a path such as "urlMatcher.urlScope".
func set(body map[string]any, path string, value any) {
	parts := strings.Split(path, ".")
	for _, p := range parts[:len(parts)-1] {
		next, ok := body[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			body[p] = next
		}
		body = next
	}
	body[parts[len(parts)-1]] = value
}
