package terminology

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

//go:generate go run ./generate

//go:embed r4.zst
var compact []byte

// R4 returns the terminology of FHIR R4 (4.0.1). The first call reads it.
var R4 = sync.OnceValue(func() *Loaded {
	l, err := Unpack(compact)
	if err != nil {
		panic("terminology: internal error: the embedded terminology is damaged")
	}
	return l
})

// Loaded is the terminology of packages. It is read-only and safe for concurrent use; a resource is
// read when it is first asked for.
type Loaded struct {
	all  []*item
	urls map[string][]*item // by type and canonical, the one to choose first
	maps map[string][]*item // concept maps by the systems of their groups
}

type item struct {
	typ, url, version, status string
	from                      []string // of a concept map: the systems of its groups
	raw                       []byte
	once                      sync.Once
	system                    *CodeSystem
	set                       *ValueSet
	mapping                   *ConceptMap
	err                       error
}

// Limits of a package.
const (
	maxPackage = 1 << 30
	maxFile    = 64 << 20
	maxCompact = 64 << 20
)

// Add returns the terminology together with that of an npm package (.tgz) of FHIR. What the package
// has is found before what was there.
func (l *Loaded) Add(pack io.Reader) (*Loaded, error) {
	z, err := gzip.NewReader(pack)
	if err != nil {
		return nil, fmt.Errorf("terminology: package: %w", err)
	}
	var all []*item
	var total int64
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("terminology: package: %w", err)
		}
		name := path.Base(h.Name)
		if total += h.Size; total > maxPackage {
			return nil, errors.New("terminology: package is too large")
		}
		if kind, _, _ := strings.Cut(name, "-"); kind != "CodeSystem" && kind != "ValueSet" && kind != "ConceptMap" || path.Ext(name) != ".json" || path.Base(path.Dir(h.Name)) != "package" {
			continue
		}
		if h.Size > maxFile {
			return nil, errors.New("terminology: package is too large")
		}
		b, err := io.ReadAll(io.LimitReader(r, maxFile))
		if err != nil {
			return nil, fmt.Errorf("terminology: package: %w", err)
		}
		if b, err = strip(b); err != nil {
			return nil, fmt.Errorf("terminology: %s: %w", name, err)
		}
		i, err := newItem(b)
		if err != nil {
			return nil, fmt.Errorf("terminology: %s: %w", name, err)
		}
		if i.url != "" {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b *item) int { return strings.Compare(a.typ+a.url+"|"+a.version, b.typ+b.url+"|"+b.version) })
	if l != nil {
		all = append(all, l.all...)
	}
	return load(all), nil
}

// strip takes away what no answer needs.
func strip(b []byte) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	for _, n := range []string{"text", "contact", "publisher", "meta", "jurisdiction", "useContext", "purpose", "extension", "identifier", "description", "date", "contained"} {
		delete(m, n)
	}
	return json.Marshal(m)
}

func newItem(b []byte) (*item, error) {
	var h struct {
		ResourceType, URL, Version, Status string
		Group                              []struct{ Source, Target string }
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, err
	}
	i := &item{typ: h.ResourceType, url: h.URL, version: h.Version, status: h.Status, raw: b}
	for _, g := range h.Group {
		for _, s := range []string{g.Source, g.Target} {
			if s != "" && !slices.Contains(i.from, s) {
				i.from = append(i.from, s)
			}
		}
	}
	return i, nil
}

func load(all []*item) *Loaded {
	l := &Loaded{all: all, urls: map[string][]*item{}, maps: map[string][]*item{}}
	for _, i := range all {
		k := i.typ + " " + i.url
		l.urls[k] = append(l.urls[k], i)
		for _, s := range i.from {
			l.maps[s] = append(l.maps[s], i)
		}
	}
	for _, list := range l.urls {
		slices.SortStableFunc(list, func(a, b *item) int { return Prefer(a.status, a.version, b.status, b.version) })
	}
	return l
}

// Prefer orders versions of a resource, the one to choose first: active ones, then later ones.
func Prefer(statusA, versionA, statusB, versionB string) int {
	switch a, b := statusA == "active", statusB == "active"; {
	case a && !b:
		return -1
	case b && !a:
		return 1
	case Later(versionA, versionB):
		return -1
	case Later(versionB, versionA):
		return 1
	}
	return 0
}

// Pack returns the terminology compressed, as it is embedded: a line of JSON for each resource, after
// a line of what it is.
func (l *Loaded) Pack() ([]byte, error) {
	var b bytes.Buffer
	for _, i := range l.all {
		h, err := json.Marshal([]any{i.typ, i.url, i.version, i.status, i.from})
		if err != nil {
			return nil, fmt.Errorf("terminology: pack: %w", err)
		}
		b.Write(append(h, '\n'))
		b.Write(append(bytes.TrimSpace(i.raw), '\n'))
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20))
	if err != nil {
		return nil, fmt.Errorf("terminology: pack: %w", err)
	}
	return z.EncodeAll(b.Bytes(), nil), z.Close()
}

// Unpack reads what Pack wrote.
func Unpack(b []byte) (*Loaded, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxCompact), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("terminology: unpack: %w", err)
	}
	defer z.Close()
	raw, err := z.DecodeAll(b, nil)
	if err != nil {
		return nil, fmt.Errorf("terminology: unpack: %w", err)
	}
	var all []*item
	for len(raw) > 0 {
		h, rest, ok := bytes.Cut(raw, []byte{'\n'})
		body, next, ok2 := bytes.Cut(rest, []byte{'\n'})
		if !ok || !ok2 {
			return nil, errors.New("terminology: unpack: a line is missing")
		}
		i := &item{raw: body}
		if err := json.Unmarshal(h, &[]any{&i.typ, &i.url, &i.version, &i.status, &i.from}); err != nil {
			return nil, fmt.Errorf("terminology: unpack: %w", err)
		}
		all, raw = append(all, i), next
	}
	return load(all), nil
}

func (i *item) parse() error {
	i.once.Do(func() {
		switch i.typ {
		case "CodeSystem":
			i.system, i.err = ParseCodeSystem(i.raw)
		case "ValueSet":
			i.set, i.err = ParseValueSet(i.raw)
		case "ConceptMap":
			i.mapping, i.err = ParseConceptMap(i.raw)
		default:
			i.err = unreadable("resource of terminology")
		}
	})
	return i.err
}

func (l *Loaded) find(typ, url, version string) *item {
	for _, i := range l.urls[typ+" "+url] {
		if version == "" || i.version == version {
			return i
		}
	}
	return nil
}

// CodeSystem implements Source.
func (l *Loaded) CodeSystem(_ context.Context, url, version string) (*CodeSystem, error) {
	i := l.find("CodeSystem", url, version)
	if i == nil {
		return nil, ErrNoSystem.about(canonical(url, version))
	}
	err := i.parse()
	return i.system, err
}

// ValueSet implements Source.
func (l *Loaded) ValueSet(_ context.Context, url, version string) (*ValueSet, error) {
	i := l.find("ValueSet", url, version)
	if i == nil {
		return nil, ErrNoValueSet.about(canonical(url, version))
	}
	err := i.parse()
	return i.set, err
}

// ConceptMaps implements Source.
func (l *Loaded) ConceptMaps(_ context.Context, url, version, system string) (out []*ConceptMap, err error) {
	list := l.maps[system]
	if url != "" {
		list = nil
		if i := l.find("ConceptMap", url, version); i != nil {
			list = []*item{i}
		}
	}
	for _, i := range list {
		if err := i.parse(); err != nil {
			return nil, err
		}
		out = append(out, i.mapping)
	}
	return out, nil
}

// A Listed is a code system that a package has.
type Listed struct{ URL, Version string }

// Systems lists the code systems, sorted.
func (l *Loaded) Systems() (out []Listed) {
	for _, i := range l.all {
		if i.typ == "CodeSystem" {
			out = append(out, Listed{i.url, i.version})
		}
	}
	slices.SortFunc(out, func(a, b Listed) int { return strings.Compare(a.URL+"|"+a.Version, b.URL+"|"+b.Version) })
	return slices.Compact(out)
}
