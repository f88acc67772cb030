package portal

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// An asset is one file of the app, compressed once.
type asset struct {
	kind      string // content type
	etag      string
	plain     []byte
	gzip      []byte // nil if it does not help
	brotli    []byte // the build's, nil if it made none
	immutable bool   // its name changes with its content
}

// assets are the app's files by their path. There is no file system behind them at the time of
// a request, so that no path leads anywhere else.
type assets struct {
	files map[string]*asset
}

const indexFile = "index.html"

// notBuilt stands in for the page where the program was built without the app.
const notBuilt = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Salus</title></head><body><h1>Salus</h1><p>This program was built without the portal. Run "make portal build".</p></body></html>`

func loadAssets(files fs.FS) (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if ext := path.Ext(name); ext == ".br" || ext == ".gz" || ext == ".map" {
			return nil
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		f, err := newAsset(name, b)
		if err != nil {
			return err
		}
		f.brotli, err = fs.ReadFile(files, name+".br")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		a.files[name] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	if a.files[indexFile] == nil {
		if a.files[indexFile], err = newAsset(indexFile, []byte(notBuilt)); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func newAsset(name string, b []byte) (*asset, error) {
	sum := sha256.Sum256(b)
	kind := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".wasm": "application/wasm"}[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	if kind == "" {
		kind = "application/octet-stream"
	}
	f := &asset{kind: kind, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`, plain: b, immutable: strings.HasPrefix(name, "assets/")}
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if z.Len() < len(b)*9/10 {
		f.gzip = z.Bytes()
	}
	return f, nil
}

// asset serves a file of the app; a path without a dot in its last part is a view, which the
// page itself finds.
func (p *Portal) asset(w http.ResponseWriter, r *http.Request) error {
	name := cmp.Or(strings.TrimPrefix(r.URL.Path, "/"), indexFile)
	f, ok := p.assets.files[name]
	if !ok {
		if strings.Contains(path.Base(name), ".") || strings.HasPrefix(name, "assets/") || strings.HasPrefix(name, "api/") {
			return errUnknown
		}
		f = p.assets.files[indexFile]
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	b, etag := f.plain, f.etag
	switch {
	case f.brotli != nil && accepts(r, "br"):
		b, etag = f.brotli, strings.TrimSuffix(etag, `"`)+`-br"`
		h.Set("Content-Encoding", "br")
	case f.gzip != nil && accepts(r, "gzip"):
		b, etag = f.gzip, strings.TrimSuffix(etag, `"`)+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	if strings.Contains(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(b)
	return err
}

// accepts reports whether a content coding is named and not refused (RFC 9110 section 12.5.3).
func accepts(r *http.Request, coding string) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}
