package fault

import (
	"strings"
	"testing"
)

// planted is a story of three acknowledged records, two of them active, with consent.
func planted() (s *story, have []own, bodies [][]byte) {
	s = newBook().add(&story{author: "hospital", consent: granted})
	bodies = [][]byte{[]byte("one"), []byte("two"), []byte("three")}
	s.send(bodies...)
	s.note(true, bodies[:2]...)
	s.note(false, bodies[2])
	s.on(7, "grant")
	for _, b := range bodies {
		have = append(have, own{digestOf(b), true})
	}
	return s, have, bodies
}

func wantOne(t *testing.T, got []string, want string) {
	t.Helper()
	if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlantedLossIsFound(t *testing.T) {
	s, have, _ := planted()
	wantOne(t, lost(s, have), "")
	wantOne(t, lost(s, have[1:]), "is lost")
	wantOne(t, lost(s, append(have, have[0])), "twice")
	wantOne(t, lost(s, append(have, own{digestOf([]byte("four")), true})), "nobody wrote")
	have[2].active = false
	wantOne(t, lost(s, have), "does not become active")
	wantOne(t, unlogged(s, map[int64]bool{6: true, 7: true}), "")
	wantOne(t, unlogged(s, map[int64]bool{6: true}), "lacks the grant of block 7")
}

func TestPlantedReleaseIsFound(t *testing.T) {
	s, _, bodies := planted()
	must, c := s.expected()
	for _, x := range []struct {
		c    consentState
		got  [][]byte
		want string
		kept int
	}{
		{c, bodies, "", 0},
		{c, bodies[:2], "", 0}, // the third was only stored
		{c, bodies[1:], "", 1},
		{c, append(bodies, []byte("0ne")), "nobody wrote", 0},
		{denied, nil, "", 0},
		{denied, bodies[:1], "without consent", 0},
		{unclear, nil, "", 0},
		{unclear, bodies, "", 0},
	} {
		wrong, kept := s.wrong(must, x.c, x.got)
		wantOne(t, wrong, x.want)
		if kept != x.kept {
			t.Errorf("got %d records kept from the reader, want %d", kept, x.kept)
		}
	}
}

func TestPlantedForkIsFound(t *testing.T) {
	chain := func(app string) map[int64]block { return map[int64]block{1: {"a", "0"}, 2: {"b", app}} }
	wantOne(t, forks(map[string]map[int64]block{"hospital": chain("1"), "clinic": chain("1"), "insurer": {1: {"a", "0"}}}), "")
	wantOne(t, forks(map[string]map[int64]block{"hospital": chain("1"), "clinic": chain("2")}), "a fork at height 2")
	wantOne(t, forks(map[string]map[int64]block{"hospital": chain("1"), "clinic": {2: {"c", "1"}}}), "a fork at height 2")
}

func TestPlantedPanicIsFound(t *testing.T) {
	wantOne(t, broken("level=WARN msg=members_unreachable\nlevel=ERROR msg=\"CONSENSUS FAILURE!!!\"\n"), "CONSENSUS FAILURE")
	wantOne(t, broken("level=WARN msg=members_unreachable\n"), "")
}
