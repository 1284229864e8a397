package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// connections that a load keeps busy: a closed loop on each.
const connections = 16

// loader names what makes the load.
func (b *bench) loader() string {
	if _, err := exec.LookPath("wrk"); err == nil {
		return fmt.Sprintf("wrk, %d connections", connections)
	}
	return fmt.Sprintf("this program (wrk is not installed), %d connections", connections)
}

// load asks for target again and again, and tells how many answers came in
// what time. An answer that is not 200 is an error.
func (b *bench) load(ctx context.Context, target, token string) (int, time.Duration, error) {
	if _, err := exec.LookPath("wrk"); err == nil {
		return b.wrk(ctx, target, token)
	}
	return loop(ctx, target, token, time.Duration(b.seconds)*time.Second)
}

var (
	wrkDone = regexp.MustCompile(`(\d+) requests in ([0-9.]+)(ms|s|m),`)
	wrkBad  = regexp.MustCompile(`Non-2xx or 3xx responses: \d+|Socket errors: .*`)
)

func (b *bench) wrk(ctx context.Context, target, token string) (int, time.Duration, error) {
	//nolint:gosec // the arguments are our own
	out, err := exec.CommandContext(ctx, "wrk", "-t1", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", b.seconds), "--timeout", "20s",
		"-H", "Authorization: Bearer "+token, "-H", "Accept: application/json", "-H", "User-Agent: bench", target).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk %s: %w: %s", target, err, out)
	}
	if bad := wrkBad.Find(out); bad != nil {
		return 0, 0, fmt.Errorf("%s: %s", target, bad)
	}
	m := wrkDone.FindStringSubmatch(string(out))
	if m == nil {
		return 0, 0, fmt.Errorf("wrk wrote %q", out)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, 0, err
	}
	took, err := time.ParseDuration(m[2] + m[3])
	return n, took, err
}

// loop is a load made here, where wrk is missing. It uses more of the
// processors than wrk does.
func loop(ctx context.Context, target, token string, d time.Duration) (int, time.Duration, error) {
	u, err := url.Parse(target)
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var (
		n      atomic.Int64
		failed atomic.Pointer[error]
		all    sync.WaitGroup
	)
	begun := time.Now()
	for range connections {
		all.Go(func() {
			if err := ask(ctx, u, token, &n); err != nil && ctx.Err() == nil {
				failed.Store(&err)
				cancel()
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", target, *err)
	}
	return int(n.Load()), time.Since(begun), nil
}

// ask keeps one connection busy.
func ask(ctx context.Context, u *url.URL, token string, n *atomic.Int64) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	if u.Scheme == "https" {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a server of this run, on this machine
	}
	defer c.Close() //nolint:errcheck // given up anyway
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	request := []byte(strings.Join([]string{
		"GET " + u.RequestURI() + " HTTP/1.1", "Host: " + u.Host, "Authorization: Bearer " + token,
		"Accept: application/json", "User-Agent: bench", "", "",
	}, "\r\n"))
	for r := bufio.NewReader(c); ; n.Add(1) {
		if _, err := c.Write(request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		if err != nil {
			return err
		}
	}
}
