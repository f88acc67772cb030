package config

import (
	"fmt"
	"regexp"
	"slices"
	"unicode"
	"unicode/utf8"

	"salus/fhir"
)

// A Notice goes with what bears a label when one organisation discloses it to another: into meta.security of other
// members' records, and as a note into the messages of feeds. A message without a place for it is not sent, and a feed
// whose receiver has not attested that it is bound has no such messages (Feed.PublishAttested).
type Notice struct {
	// Label is a sensitivity label, as salus consent labels lists them.
	Label string `toml:"label"`
	// Text is what the recipient reads, at most 2000 characters.
	Text string `toml:"text"`
	// Policy is the code of the law in HL7 v3-ActCode, e.g. "42CFRPart2"; may be empty.
	Policy string `toml:"policy"`
}

// maxNotice is the longest text of a notice, in characters.
const maxNotice = 2000

var policyCode = regexp.MustCompile(`^[A-Za-z0-9]{0,64}$`)

func (c *Config) validateNotices() error {
	for i, n := range c.Notices {
		switch {
		case !fhir.Label(n.Label).Sensitive():
			return fmt.Errorf("config: notice: label: %q is no sensitivity label", n.Label)
		case slices.ContainsFunc(c.Notices[:i], func(o Notice) bool { return o.Label == n.Label }):
			return fmt.Errorf("config: notice: label: %s has two notices", n.Label)
		case n.Text == "" || utf8.RuneCountInString(n.Text) > maxNotice || !utf8.ValidString(n.Text) || !printable(n.Text):
			return fmt.Errorf("config: notice: text: of %s: use 1 to %d characters on one line", n.Label, maxNotice)
		case !policyCode.MatchString(n.Policy):
			return fmt.Errorf("config: notice: policy: %q is no code", n.Policy)
		}
		for j := range c.Feeds {
			f := &c.Feeds[j]
			if slices.Contains(f.PublishLabels, n.Label) && f.PublishAttested == "" {
				return fmt.Errorf("config: feed %s: publish_attested: %s has a notice: say where the receiver attested that its law binds it", f.Name, n.Label)
			}
		}
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return s[0] != ' ' && s[len(s)-1] != ' '
}

// Accompany are the notices as the gateway uses them.
func (c *Config) Accompany() (out []fhir.Notice) {
	for _, n := range c.Notices {
		out = append(out, fhir.Notice{Label: fhir.Label(n.Label), Text: n.Text, Policy: n.Policy})
	}
	return out
}
