package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// proc is a child process, with all that it starts itself.
type proc struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// spawn starts a program in a process group of its own. What it writes goes
// to a file of its name.
func (b *bench) spawn(name string, env []string, argv ...string) (*proc, error) {
	p := &proc{log: filepath.Join(b.work, name+".log"), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()                          //nolint:errcheck // the child has its own
	p.cmd = exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // the programs to measure; they live until they are stopped
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	b.children = append(b.children, p)
	return p, nil
}

// stop ends the process and what it started.
func (p *proc) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
}

// tick is the unit of processor times in /proc.
const tick = time.Second / 100

// cpu is the processor time that the group has used.
func (p *proc) cpu() time.Duration {
	var all time.Duration
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // has ended meanwhile
		}
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) < 13 || f[2] != strconv.Itoa(p.cmd.Process.Pid) {
			continue
		}
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		all += time.Duration(user+system) * tick
	}
	return all
}

// await waits until an address is answered at: with 200 if it is a URL.
func (p *proc) await(ctx context.Context, what string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		if answers(ctx, what) {
			return nil
		}
		select {
		case <-p.ended:
			out, _ := os.ReadFile(p.log)
			return fmt.Errorf("%s ended: %s", p.cmd.Path, out)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer at %s; look at %s", p.cmd.Path, what, p.log)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, what string) bool {
	if !strings.Contains(what, "://") {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", what)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, what, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// addresses are n of them.
func addresses(ctx context.Context, n int) ([]string, error) {
	var all []string
	for range n {
		a, err := freeAddress(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}
