package operator

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annex-gateway/annex/cmd/annex/exit"
	"github.com/annex-gateway/annex/core"
)

func loginCommand() *cobra.Command {
	l := &loginContext{}
	var ca string
	c := &cobra.Command{
		Use:   "login URL",
		Short: "Log in to a gateway and remember it",
		Long: "Log in to a gateway. The password comes from the environment variable " + passwordVariable + ", from a prompt without echo,\n" +
			"or, when standard input is no terminal, from its first line. The session is kept as a context: later commands use\n" +
			"it until another one is chosen with 'annex context use' or --context.",
		Example: "  annex login https://localhost:8443 --ca /var/lib/annex/tls/ca.pem\n  annex login https://api.example.com --user ada@acme --context prod",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l.URL = strings.TrimSuffix(args[0], "/")
			return login(c, l, ca)
		},
	}
	f := c.Flags()
	f.StringVar(&l.User, "user", "administrator@"+core.SystemOrg, "who logs in, as USER@ORGANISATION")
	f.StringVar(&ca, "ca", "", "PEM file with the authority that signed the gateway's certificate; a local one is in DATA/tls/ca.pem")
	f.BoolVar(&l.Insecure, "insecure", false, "believe anybody to be the gateway, and send the password without TLS if the URL says so")
	f.StringVar(&l.Name, "context", "", "name to keep the login under; by default the host and the port of the URL")
	return c
}

func login(c *cobra.Command, l *loginContext, ca string) error {
	if err := checkURL(l); err != nil {
		return err
	}
	at := strings.LastIndexByte(l.User, '@')
	if at < 1 || at == len(l.User)-1 {
		return exit.Usagef("--user %q: USER@ORGANISATION is needed, such as administrator@%s", l.User, core.SystemOrg)
	}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("--ca: %w", err)
		}
		l.CA = string(pem)
	}
	file, err := loadContexts()
	if err != nil {
		return err
	}
	cl, err := l.client()
	if err != nil {
		return err
	}
	password, err := askPassword(c, fmt.Sprintf("Password of %s at %s: ", l.User, l.URL))
	if err != nil {
		return err
	}
	if err := cl.Login(c.Context(), l.User[:at], l.User[at+1:], password); err != nil {
		return err
	}
	l.Token = cl.Token
	file.put(l)
	if err := file.save(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "logged in at %s as %s; the context is %s\n", l.URL, l.User, l.Name)
	return err
}

// checkURL refuses what is no gateway, and to send a password in the open.
func checkURL(l *loginContext) error {
	u, err := url.Parse(l.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || l.URL != u.Scheme+"://"+u.Host {
		return exit.Usagef("%q: the URL of a gateway is needed, with scheme and host alone, such as https://localhost:8443", l.URL)
	}
	if u.Scheme == "http" && !l.Insecure && !onThisMachine(u.Hostname()) {
		return exit.Usagef("%q: the password would travel in the open; use https, or --insecure if you have to", l.URL)
	}
	if l.Name == "" {
		l.Name = u.Host
	}
	return nil
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func logoutCommand() *cobra.Command {
	r := &target{}
	c := &cobra.Command{
		Use: "logout", Short: "End the session and forget its token", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := loadContexts()
			if err != nil {
				return err
			}
			l, err := file.choose(r.context)
			if err != nil {
				return err
			}
			return file.end(c, l, false)
		},
	}
	c.Flags().StringVar(&r.context, "context", "", "login to end; by default the current one")
	return c
}

// end ends the session of a context, whose token is forgotten in any case;
// with forget the whole context is.
func (f *contexts) end(c *cobra.Command, l *loginContext, forget bool) error {
	token := l.Token
	cl, err := l.client()
	if l.Token = ""; forget {
		f.remove(l.Name)
	}
	if err := f.save(); err != nil {
		return err
	}
	if err == nil && token != "" {
		err = cl.Logout(c.Context())
	}
	switch code := core.ErrorCode(err); {
	case err == nil, code == core.Unauthenticated: // it had ended before
	case code == core.BadUpstream:
		return core.WrapError(code, err, "the token is forgotten here, but its session goes on until it expires")
	default:
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "logged out of %s\n", l.Name)
	return err
}

func contextCommand() *cobra.Command {
	return Group("context", "Choose between logins", contextListCommand(), contextUseCommand(), contextDeleteCommand())
}

func contextListCommand() *cobra.Command {
	var form string
	c := &cobra.Command{
		Use: "list", Short: "List the logins that are kept", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := loadContexts()
			if err != nil {
				return err
			}
			var objects []object
			for _, l := range file.Contexts {
				b, err := json.Marshal(struct {
					*loginContext
					Current  bool `json:"current"`
					LoggedIn bool `json:"loggedIn"`
				}{l, l.Name == file.Current, l.Token != ""})
				if err != nil {
					return err
				}
				o, err := newObject(b)
				if err != nil {
					return err
				}
				objects = append(objects, o)
			}
			return printer{c.OutOrStdout(), form}.list(objects, []column{
				{"NAME", "name"}, {"CURRENT", "current"}, {"URL", "url"}, {"USER", "user"}, {"LOGGED IN", "loggedIn"},
			})
		},
	}
	addOutput(c, &form)
	return c
}

func contextUseCommand() *cobra.Command {
	return onContext("use NAME", "Make a login the current one", func(_ *cobra.Command, file *contexts, l *loginContext) error {
		file.Current = l.Name
		return file.save()
	})
}

func contextDeleteCommand() *cobra.Command {
	return onContext("delete NAME", "End the session of a login and forget all about it", func(c *cobra.Command, file *contexts, l *loginContext) error {
		return file.end(c, l, true)
	})
}

// onContext is a command that does something with the login that it is given the name of.
func onContext(use, short string, do func(*cobra.Command, *contexts, *loginContext) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := loadContexts()
			if err != nil {
				return err
			}
			l, err := file.choose(args[0])
			if err != nil {
				return err
			}
			return do(c, file, l)
		},
	}
}
