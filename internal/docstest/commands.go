package docstest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// makeTarget is the head of a rule in the Makefile.
var makeTarget = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)

// Targets reports `make` targets that a document names and the Makefile does not have.
func Targets(tree fs.FS) (wrong []string, err error) {
	docs, err := documents(tree)
	if err != nil {
		return nil, err
	}
	b, err := fs.ReadFile(tree, "Makefile")
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, m := range makeTarget.FindAllStringSubmatch(string(b), -1) {
		have[m[1]] = true
	}
	for _, d := range docs {
		for _, c := range d.code {
			words := shellWords(c)
			if len(words) < 2 || words[0] != "make" {
				continue
			}
			for _, w := range words[1:] {
				if !strings.Contains(w, "=") && !have[w] {
					wrong = append(wrong, fmt.Sprintf("%s: names make %s, which the Makefile does not have", d.file, w))
				}
			}
		}
	}
	return wrong, nil
}

// shellWords splits a line of code up to a comment.
func shellWords(line string) []string {
	words := strings.Fields(strings.TrimPrefix(line, "$ "))
	if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "#") }); i >= 0 {
		words = words[:i]
	}
	return words
}

// A command of the command line: its subcommands and its own flags.
type command struct {
	sub   map[string]*command
	flags map[string]bool
}

var errNoCLI = errors.New("docstest: cmd/salus has no type cli")

// commandLine reads the commands from the structs that kong reads them from.
func commandLine(tree fs.FS) (*command, error) {
	files, err := fs.Glob(tree, "cmd/salus/*.go")
	if err != nil {
		return nil, err
	}
	structs := map[string]*ast.StructType{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		b, err := fs.ReadFile(tree, file)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path.Base(file), b, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if t, ok := n.(*ast.TypeSpec); ok {
				if s, ok := t.Type.(*ast.StructType); ok {
					structs[t.Name.Name] = s
				}
			}
			return true
		})
	}
	if structs["cli"] == nil {
		return nil, errNoCLI
	}
	return commandOf(structs, "cli"), nil
}

func commandOf(structs map[string]*ast.StructType, name string) *command {
	c := &command{sub: map[string]*command{}, flags: map[string]bool{}}
	s := structs[name]
	if s == nil {
		return c
	}
	for _, field := range s.Fields.List {
		tag := reflect.StructTag("")
		if field.Tag != nil {
			if text, err := strconv.Unquote(field.Tag.Value); err == nil {
				tag = reflect.StructTag(text)
			}
		}
		kind, _ := field.Type.(*ast.Ident)
		if len(field.Names) == 0 { // embedded
			if kind != nil {
				for flag := range commandOf(structs, kind.Name).flags {
					c.flags[flag] = true
				}
			}
			continue
		}
		for _, n := range field.Names {
			as := tag.Get("name")
			if as == "" {
				as = kebab(n.Name)
			}
			_, isCommand := tag.Lookup("cmd")
			_, isArgument := tag.Lookup("arg")
			switch {
			case isCommand && kind != nil:
				c.sub[as] = commandOf(structs, kind.Name)
			case !isArgument:
				c.flags[as] = true
			}
		}
	}
	return c
}

// kebab is how kong names a field: AnyClinical becomes any-clinical.
func kebab(field string) string {
	var b strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Commands reports commands and flags of `salus` that a document names and the command line
// does not have.
func Commands(tree fs.FS) (wrong []string, err error) {
	docs, err := documents(tree)
	if err != nil {
		return nil, err
	}
	cli, err := commandLine(tree)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		for _, c := range d.code {
			words := shellWords(c)
			if len(words) < 2 || words[0] != "salus" && words[0] != "bin/salus" {
				continue
			}
			if fault := cli.fault(words[1:]); fault != "" {
				wrong = append(wrong, fmt.Sprintf("%s: `%s`: %s", d.file, c, fault))
			}
		}
	}
	return wrong, nil
}

// fault says what is wrong with the words after `salus`: every word up to the command itself
// must be one, or a flag of the top with its value; every flag after it must be one of its own
// or of the top.
func (c *command) fault(words []string) string {
	at := c
	for i := 0; i < len(words); i++ {
		w := words[i]
		name, isFlag := strings.CutPrefix(w, "--")
		switch {
		case isFlag:
			name, _, joined := strings.Cut(name, "=")
			if !at.flags[name] && !c.flags[name] {
				return "no flag --" + name
			}
			if at == c && !joined {
				i++ // its value
			}
		case strings.HasPrefix(w, "-o"):
			i++
		case len(at.sub) > 0:
			next := at.sub[w]
			if next == nil {
				return "no command " + w
			}
			at = next
		}
	}
	return ""
}
