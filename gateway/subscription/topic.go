package subscription

import (
	"strings"

	"salus/store"
)

// What a topic is about.
var methods = map[string]store.Method{"create": store.Create, "update": store.Update, "delete": store.Delete}

// Topic is the canonical of a topic: resources of a type that are created, updated or deleted.
func (s *Service) Topic(resourceType, change string) string {
	return s.TopicBase + "/" + strings.ToLower(resourceType) + "-" + change
}

// Topics are all canonicals, for rest.Config.
func (s *Service) Topics() (out []string) {
	for _, t := range s.Types {
		for _, change := range []string{"create", "update", "delete"} {
			out = append(out, s.Topic(t, change))
		}
	}
	return out
}

// topic reads a canonical.
func (s *Service) topic(canonical string) (typ string, m store.Method, ok bool) {
	name, ok := strings.CutPrefix(canonical, s.TopicBase+"/")
	if !ok {
		return "", 0, false
	}
	lower, change, _ := strings.Cut(name, "-")
	for _, t := range s.Types {
		if strings.ToLower(t) == lower {
			m, ok = methods[change]
			return t, m, ok
		}
	}
	return "", 0, false
}
