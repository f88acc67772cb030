package terminology

import (
	"encoding/json"
	"net/http"
)

// capabilities is the TerminologyCapabilities (R4 5.5): the code systems that packages brought.
// Those of the store are not in it: everybody may read this.
func (s *Service) capabilities() []byte {
	type version struct {
		Code string `json:"code"`
	}
	type system struct {
		URI     string    `json:"uri"`
		Version []version `json:"version,omitempty"`
	}
	var systems []system
	for _, l := range s.Loaded.Systems() {
		if n := len(systems); n == 0 || systems[n-1].URI != l.URL {
			systems = append(systems, system{URI: l.URL})
		}
		if l.Version != "" {
			x := &systems[len(systems)-1]
			x.Version = append(x.Version, version{l.Version})
		}
	}
	b, err := json.Marshal(map[string]any{
		"resourceType": "TerminologyCapabilities", "status": "active", "kind": "instance", "date": s.Now().UTC().Format("2006-01-02"),
		"software": map[string]any{"name": "Salus"}, "implementation": map[string]any{"description": "terminology of this server", "url": s.Base},
		"codeSystem": systems, "codeSearch": "explicit",
		"expansion":    map[string]any{"hierarchical": false, "paging": true, "incomplete": false, "textFilter": "every word begins a word of the code or of one of its names"},
		"validateCode": map[string]any{"translations": true},
		"translation":  map[string]any{"needsMap": false},
	})
	if err != nil {
		panic("terminology: internal error: the capabilities do not encode")
	}
	return b
}

// Metadata answers metadata?mode=terminology (R4 3.1.0.9), and leaves every other request to next.
func (s *Service) Metadata(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("mode") != "terminology" || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/fhir+json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if r.Method == http.MethodGet {
			_, _ = w.Write(s.metadata) // the client has gone: nobody to tell
		}
	})
}
