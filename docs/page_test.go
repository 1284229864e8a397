package docs

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// block is a fenced block of a page, with what a comment above it says to the
// test. A comment is one of
//
//	<!-- not run: why -->        the commands stay as they are read
//	<!-- runs if: command -->    they are run where the command succeeds
//	<!-- until Ctrl-C: text -->  they are run beside the others, which go on
//	                             when the text was printed
//	<!-- file: name -->          the block is what the page says to save there
//	<!-- prints -->              the block is what the commands before it print;
//	                             … stands for anything
type block struct {
	line     int
	language string
	text     string
	order    string // of the comment, up to its colon
	detail   string // behind it
}

// orders are the comments that there are, and whether they need a detail.
func orders() map[string]bool {
	return map[string]bool{"not run": true, "runs if": true, "until Ctrl-C": true, "file": true, "prints": false}
}

var (
	fence   = regexp.MustCompile("^( *)```(.*)$")
	comment = regexp.MustCompile(`^ *<!-- (.*) -->$`)
)

// blocksOf gives the blocks of a page in their order.
func blocksOf(file string) ([]block, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var blocks []block
	var open *block
	indent, said := "", ""
	for i, line := range strings.Split(string(text), "\n") {
		f := fence.FindStringSubmatch(line)
		switch {
		case f != nil && open == nil:
			indent = f[1]
			open = &block{line: i + 1, language: f[2]}
			if err := open.obey(said); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
			}
			said = ""
		case f != nil:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		case strings.TrimSpace(line) != "":
			said = ""
			if c := comment.FindStringSubmatch(line); c != nil {
				said = c[1]
			}
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s:%d: the block has no end", file, open.line)
	}
	return blocks, nil
}

func (b *block) obey(said string) error {
	if said == "" {
		return nil
	}
	order, detail, _ := strings.Cut(said, ":")
	detailed, ok := orders()[order]
	b.order, b.detail = order, strings.TrimSpace(detail)
	if !ok || detailed != (b.detail != "") {
		return fmt.Errorf("the comment %q is not one that the test understands", said)
	}
	return nil
}
