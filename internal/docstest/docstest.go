// Package docstest keeps the documents true as far as a machine can: links and
// named files exist, commands exist in the command line, make targets exist in
// the Makefile, and no word stands in them that has no place in the project.
//
// Contract: every rule is a function over a file tree that returns what it found
// wrong, as "file: what", so that each can be shown to fail on a planted fault.
// Files are read in this process, so that a cached pass of the test does not
// outlive a change. A rule must never be made to pass by an exception without a
// reason beside it.
package docstest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A rule reports what is wrong with the documents of a tree; its error is one of reading.
type rule func(fs.FS) (wrong []string, err error)

// rules are all of them, by name.
var rules = map[string]rule{"links": Links, "files": Files, "commands": Commands, "targets": Targets, "words": Words}

// A document is one Markdown file, taken apart.
type document struct {
	file  string
	text  string   // without fenced code and comments
	raw   string   // everything
	code  []string // inline code spans and lines of fenced code, in any order
	heads []string // anchors of its headings
}

// documents returns the Markdown files of the tree that are its own.
func documents(tree fs.FS) ([]document, error) {
	var out []document
	err := fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if n := d.Name(); file != "." && (strings.HasPrefix(n, ".") || n == "testdata" || n == "node_modules") {
				return fs.SkipDir
			}
			return nil
		case path.Ext(file) != ".md":
			return nil
		}
		b, err := fs.ReadFile(tree, file)
		if err != nil {
			return err
		}
		out = append(out, parse(file, string(b)))
		return nil
	})
	return out, err
}

var (
	inlineCode = regexp.MustCompile("`([^`\n]+)`")
	linkTarget = regexp.MustCompile(`\]\(([^()\s]+)\)`)
)

func parse(file, raw string) document {
	d := document{file: file, raw: raw}
	var text strings.Builder
	fenced := false
	for line := range strings.Lines(raw) {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			fenced = !fenced
		case fenced:
			d.code = append(d.code, trimmed)
		default:
			if h := strings.TrimLeft(line, "#"); len(h) < len(line) && strings.HasPrefix(h, " ") {
				d.heads = append(d.heads, anchor(h))
			}
			text.WriteString(line)
		}
	}
	d.text = text.String()
	for _, m := range inlineCode.FindAllStringSubmatch(d.text, -1) {
		d.code = append(d.code, m[1])
	}
	return d
}

// anchor is the fragment that hosts of repositories give a heading: lower case, spaces to
// dashes, everything else but letters, digits, dashes and underscores dropped.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(heading)) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r > 0x7f && r != '−' && r != '–':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Links reports links to files or headings that are not there. What begins with a scheme
// leads out of the repository and is not followed.
func Links(tree fs.FS) (wrong []string, err error) {
	docs, err := documents(tree)
	if err != nil {
		return nil, err
	}
	heads := map[string][]string{}
	for _, d := range docs {
		heads[d.file] = d.heads
	}
	for _, d := range docs {
		for _, m := range linkTarget.FindAllStringSubmatch(inlineCode.ReplaceAllString(d.text, ""), -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			target, fragment, _ := strings.Cut(m[1], "#")
			to := d.file
			if target != "" {
				to = path.Join(path.Dir(d.file), target)
			}
			if !exists(tree, to) {
				wrong = append(wrong, fmt.Sprintf("%s: link to %s, which is not there", d.file, m[1]))
				continue
			}
			if fragment != "" && path.Ext(to) == ".md" && !slices.Contains(heads[to], fragment) {
				wrong = append(wrong, fmt.Sprintf("%s: link to %s, which has no such heading", d.file, m[1]))
			}
		}
	}
	return wrong, nil
}

func exists(tree fs.FS, file string) bool {
	_, err := fs.Stat(tree, file)
	return err == nil
}

// guides reports whether the document speaks about the tree as a whole, so that paths in it
// are from the root. Texts of a room may name files of their own.
func (d document) guides() bool {
	return !strings.Contains(d.file, "/") || strings.HasPrefix(d.file, "docs/")
}

// namedFile is a path that can only mean a file of the repository: a folder and a name with an ending.
var namedFile = regexp.MustCompile(`^[a-z.][\w.-]*/[\w./-]+\.(go|md|pml|cddl|sh|json|yml|txtar)$`)

// Files reports files that a guide names in code and that are not there. Places in a node's
// home are not meant: they are in the list of exceptions.
func Files(tree fs.FS) (wrong []string, err error) {
	docs, err := documents(tree)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		for _, c := range d.code {
			if !d.guides() || !namedFile.MatchString(c) || strings.HasPrefix(c, "data/") { // data/ is in a node's home
				continue
			}
			if !exists(tree, c) {
				wrong = append(wrong, fmt.Sprintf("%s: names %s, which is not there", d.file, c))
			}
		}
	}
	return wrong, nil
}

// badWords have no place in the documents: hosts of package registries, machine paths, and
// words of the tools a text was written with. They are written in two parts, so that this
// file does not contain them.
var badWords = []*regexp.Regexp{
	regexp.MustCompile(`(^|[\s"'(` + "`" + `])/wo` + `rk\b`),
	regexp.MustCompile(`(?i)\bprom` + `pts?\b`),
	regexp.MustCompile(`(?i)\b(coding|tool|chat) ses` + `sions?\b`),
	regexp.MustCompile(`(?i)\b(proxy|sum)\.gol` + `ang\.org\b`),
	regexp.MustCompile(`(?i)\b(registry\.np` + `mjs\.org|py` + `pi\.org|crat` + `es\.io|doc` + `ker\.io|gh` + `cr\.io)\b`),
}

// Words reports words that have no place in the documents.
func Words(tree fs.FS) (wrong []string, err error) {
	docs, err := documents(tree)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		for _, w := range badWords {
			if found := w.FindString(d.raw); found != "" {
				wrong = append(wrong, fmt.Sprintf("%s: %q has no place here", d.file, strings.TrimSpace(found)))
			}
		}
	}
	return wrong, nil
}
