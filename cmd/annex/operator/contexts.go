package operator

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/annex-gateway/annex/cmd/annex/client"
	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
)

// contextVariable is the environment variable that names the login to use.
const contextVariable = "ANNEX_CONTEXT"

// loginContext is a gateway, who is logged in there, and the token of the
// session.
type loginContext struct {
	Name     string `yaml:"name" json:"name"`
	URL      string `yaml:"url" json:"url"`
	User     string `yaml:"user" json:"user"`      // user@organisation
	CA       string `yaml:"ca,omitempty" json:"-"` // PEM; empty: the machine's authorities
	Insecure bool   `yaml:"insecure,omitempty" json:"insecure"`
	Token    string `yaml:"token,omitempty" json:"-"`
}

// client is one that has the context's token.
func (l *loginContext) client() (*client.Client, error) {
	var c *client.Client
	switch {
	case l.Insecure:
		c = client.NewInsecure(l.URL)
	case l.CA == "":
		c = client.New(l.URL, nil)
	default:
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(l.CA)) {
			return nil, core.Errorf(core.Invalid, "the certificate authority of context %s is no PEM certificate: log in again with --ca FILE", l.Name)
		}
		c = client.New(l.URL, roots)
	}
	c.Token = l.Token
	return c, nil
}

// contexts is the file with all logins. Nobody but its owner may read it.
type contexts struct {
	Current  string          `yaml:"current"`
	Contexts []*loginContext `yaml:"contexts"`
	path     string
}

// contextsPath is where the file is.
func contextsPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the directory of configurations: %w (XDG_CONFIG_HOME or HOME has to be set)", err)
	}
	return filepath.Join(dir, "annex", "contexts.yaml"), nil
}

func loadContexts() (*contexts, error) {
	path, err := contextsPath()
	if err != nil {
		return nil, err
	}
	f := &contexts{path: path}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fmt.Errorf("read the logins: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(b, f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s cannot be read; repair it, or delete it and log in again: %w", path, err)
	}
	return f, nil
}

// save writes the file anew, whole or not at all.
func (f *contexts) save() error {
	b, err := yaml.Marshal(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.path), "contexts-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep the login: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}

func (f *contexts) find(name string) (*loginContext, bool) {
	i := slices.IndexFunc(f.Contexts, func(l *loginContext) bool { return l.Name == name })
	if i < 0 {
		return nil, false
	}
	return f.Contexts[i], true
}

// choose gives the context of that name, or else of the environment, or else
// the current one.
func (f *contexts) choose(name string) (*loginContext, error) {
	if name == "" {
		name = os.Getenv(contextVariable)
	}
	if name == "" {
		name = f.Current
	}
	if name == "" {
		return nil, exit.Usagef("no gateway is chosen: run 'annex login URL' first, or 'annex context use NAME'")
	}
	l, ok := f.find(name)
	if !ok {
		return nil, core.Errorf(core.NotFound, "there is no context %q; there is %s", name, f.names())
	}
	return l, nil
}

func (f *contexts) names() string {
	if len(f.Contexts) == 0 {
		return "none: run 'annex login URL'"
	}
	var names []string
	for _, l := range f.Contexts {
		names = append(names, l.Name)
	}
	return strings.Join(names, ", ")
}

// put keeps a login and makes it the current one.
func (f *contexts) put(l *loginContext) {
	f.remove(l.Name)
	f.Contexts = append(f.Contexts, l)
	slices.SortFunc(f.Contexts, func(a, b *loginContext) int { return strings.Compare(a.Name, b.Name) })
	f.Current = l.Name
}

func (f *contexts) remove(name string) {
	f.Contexts = slices.DeleteFunc(f.Contexts, func(l *loginContext) bool { return l.Name == name })
	if f.Current == name {
		f.Current = ""
	}
}
