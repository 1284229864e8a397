package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/meter"
)

// compileJob is what a compiler process is told, on one line ahead of the
// module.
type compileJob struct {
	CacheDir       string
	MaxMemoryBytes int64
	MemoryBytes    int64 // what the process may use
	Seconds        int   // of processor time
}

// compileResult is what it answers.
type compileResult struct {
	Error string // what is wrong with the module; empty when it is compiled
}

// compiler fills the cache of compiled modules in a process of its own, which
// can be stopped and which cannot take the gateway's memory along.
type compiler struct {
	opts Options
}

// used reports whether there is such a process.
func (c compiler) used() bool { return len(c.opts.Compiler) > 0 && c.opts.CacheDir != "" }

// fill compiles a metered module into the cache, unless that has been done
// before.
func (c compiler) fill(ctx context.Context, digest string, metered []byte) error {
	mark := c.mark(digest)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if err := c.run(ctx, metered); err != nil {
		return err
	}
	err := errors.Join(os.MkdirAll(filepath.Dir(mark), 0o700), os.WriteFile(mark, nil, 0o600))
	if err != nil {
		return core.WrapError(core.Unavailable, err, "the cache of compiled WASM modules in %s cannot be written", c.opts.CacheDir)
	}
	return nil
}

// mark is the name of a file that says that a module is in the cache, as this
// rewriter and this engine make it.
func (c compiler) mark(digest string) string {
	name := fmt.Sprintf("%s-%d-%s", digest[len(digestPrefix):], meter.Version, engineVersion())
	return filepath.Join(c.opts.CacheDir, "compiled", name)
}

func engineVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" {
				return d.Version
			}
		}
	}
	return "unknown"
}

// run starts the process and waits for its answer.
func (c compiler) run(ctx context.Context, metered []byte) error {
	job, err := json.Marshal(compileJob{
		CacheDir: c.opts.CacheDir, MaxMemoryBytes: c.opts.MaxMemoryBytes, MemoryBytes: c.opts.CompileMemory,
		Seconds: int(c.opts.CompileTimeout/time.Second) + 1,
	})
	if err != nil {
		return core.WrapError(core.Internal, err, "a compile job cannot be written")
	}
	cmd := exec.CommandContext(ctx, c.opts.Compiler[0], c.opts.Compiler[1:]...) //nolint:gosec // the operator's own program
	cmd.Env = []string{}                                                        // it needs nothing, and is told nothing
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(append(append(job, '\n'), metered...))
	var out, complaint tail
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	var result compileResult
	switch bad := json.Unmarshal(out.b, &result); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && cmd.ProcessState == nil:
		return core.WrapError(core.Unavailable, err, "the program that compiles WASM modules cannot be started")
	case err != nil || bad != nil:
		return core.WrapError(core.Invalid, fmt.Errorf("%w: %.300s", errors.Join(err, bad), complaint.b),
			"the compiler gave up on the module: it needs more than %d MiB of memory, or too long; build it smaller", c.opts.CompileMemory>>20)
	case result.Error != "":
		return core.Errorf(core.Invalid, "the module is not valid: %s", result.Error)
	}
	return nil
}

// tail keeps the first of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(b []byte) (int, error) {
	const most = 16 << 10
	t.b = append(t.b, b[:min(len(b), most-min(len(t.b), most))]...)
	return len(b), nil
}
