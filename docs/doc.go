// Package docs holds the documents, and tests that run what they say: the
// exchanges in transcripts against a whole gateway, the commands of every page
// with the real program.
package docs
