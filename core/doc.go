// Package core holds the nouns of Annex and its two doors: what a call, a
// caller, an external system and an API filter are, and what a kind of
// external system must be able to do.
//
// Everything that travels is a [Message]; everything outside the road stands
// behind a [Conn]: a message in, a message out. The package imports the
// standard library only, and every other package may import it.
package core
