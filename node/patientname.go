package node

import (
	"encoding/json"
	"strings"
)

// nameOf is a Patient's name as people read it, and her date of birth.
func nameOf(body []byte) (name, birth string) {
	var p struct {
		Name []struct {
			Text   string
			Family string
			Given  []string
		}
		BirthDate string
	}
	if json.Unmarshal(body, &p) != nil || len(p.Name) == 0 {
		return "", p.BirthDate
	}
	if n := p.Name[0]; n.Text != "" {
		name = n.Text
	} else {
		name = strings.TrimSpace(strings.Join(n.Given, " ") + " " + n.Family)
	}
	return name, p.BirthDate
}
