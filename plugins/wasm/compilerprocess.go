package wasm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/tetratelabs/wazero"
)

// RunCompiler is the other side of Options.Compiler: a process that does
// nothing but call it, and ends. It reads one job and one module from r,
// bounds what its own process may use, fills the cache and writes the result
// to w. An error means that there is no result.
func RunCompiler(ctx context.Context, r io.Reader, w io.Writer) error {
	in := bufio.NewReader(r)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the compile job: %w", err)
	}
	var job compileJob
	if err = json.Unmarshal(line, &job); err != nil {
		return fmt.Errorf("reading the compile job: %w", err)
	}
	debug.SetMemoryLimit(job.MemoryBytes / 4 * 3)
	if err = limitProcess(job.MemoryBytes, job.Seconds); err != nil {
		return fmt.Errorf("bounding the compiler's process: %w", err)
	}
	module, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading the module: %w", err)
	}
	var result compileResult
	if err = compileIntoCache(ctx, job, module); err != nil {
		result.Error = err.Error()
	}
	return json.NewEncoder(w).Encode(result)
}

func compileIntoCache(ctx context.Context, job compileJob, module []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the compiler gave up: %v", p)
		}
	}()
	cache, err := wazero.NewCompilationCacheWithDir(job.CacheDir)
	if err != nil {
		return err
	}
	r := wazero.NewRuntimeWithConfig(ctx, engineConfig(job.MaxMemoryBytes).WithCompilationCache(cache))
	_, err = r.CompileModule(ctx, module)
	return errors.Join(err, r.Close(ctx), cache.Close(ctx))
}
