// Package plugintest is the specification of core.Kind and core.Conn, as
// tests: [Run] holds any kind to what the doors promise. A behaviour that is
// not checked here is not promised.
//
// Beside it stand a scriptable kind, [Fake], and a small host, [Host], for the
// tests of those who call kinds and of those who write them.
package plugintest
