package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// listeners is the value of a list of listeners. As a text a listener is
// HOST:PORT or https://HOST:PORT with TLS, http://HOST:PORT without.
type listeners struct{ at *[]Listener }

func (l listeners) set(texts []string) error {
	all := make([]Listener, 0, len(texts))
	for _, t := range texts {
		address, plain := strings.CutPrefix(t, "http://")
		address = strings.TrimPrefix(address, "https://")
		if err := checkAddress(address); err != nil {
			return err
		}
		all = append(all, Listener{Address: address, Plain: plain})
	}
	*l.at = all
	return nil
}

func (l listeners) plain() any {
	all := make([]map[string]any, 0, len(*l.at))
	for _, x := range *l.at {
		m := map[string]any{"address": x.Address, "tls": !x.Plain}
		if x.Certificate != "" {
			m["certificate"], m["key"] = x.Certificate, x.Key
		}
		all = append(all, m)
	}
	return all
}

func (listeners) schema() map[string]any {
	text := map[string]any{"type": "string"}
	return map[string]any{"type": "array", "minItems": 1, "items": map[string]any{"oneOf": []any{
		map[string]any{"type": "string", "description": "HOST:PORT, https://HOST:PORT or http://HOST:PORT"},
		map[string]any{
			"type": "object", "additionalProperties": false, "required": []string{"address"},
			"properties": map[string]any{"address": text, "tls": map[string]any{"type": "boolean"}, "certificate": text, "key": text},
		},
	}}}
}

// listenerKeys are the keys of a listener that is written as a mapping.
func listenerKeys() []string { return []string{"address", "tls", "certificate", "key"} }

// setMaps is set for listeners that are written as mappings.
func (l listeners) setMaps(maps []map[string]string) error {
	all := make([]Listener, 0, len(maps))
	for _, m := range maps {
		x := Listener{Address: m["address"], Pair: Pair{Certificate: m["certificate"], Key: m["key"]}}
		if err := checkAddress(x.Address); err != nil {
			return err
		}
		tls := true
		if t, ok := m["tls"]; ok {
			if err := truth(&tls).set([]string{t}); err != nil {
				return fmt.Errorf("tls of %s: %w", x.Address, err)
			}
		}
		x.Plain = !tls
		all = append(all, x)
	}
	*l.at = all
	return nil
}

func checkAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q: HOST:PORT is needed, such as 127.0.0.1:8443, [::1]:8443 or :8443 for all addresses", s)
	}
	return nil
}
