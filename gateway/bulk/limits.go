package bulk

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	"salus/fhir/search"
	"salus/gateway/rest"
)

// limits is a digest of what a leave shows of a type besides its permission: its compartment and
// conditions. A file is given to who has the same limits as the one it was made for: two users of
// one app may see different things.
func limits(l *rest.Leave) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", l.Owner)
	for _, typ := range slices.Sorted(maps.Keys(l.Within)) {
		fmt.Fprintf(h, "%q %d\n", typ, len(l.Within[typ]))
		for _, list := range l.Within[typ] {
			fmt.Fprintf(h, "and %d\n", len(list))
			for i := range list {
				sum(h, &list[i])
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func sum(h hash.Hash, c *search.Clause) {
	if c.Param != nil {
		fmt.Fprintf(h, "%q ", c.Param.Code)
	}
	fmt.Fprintf(h, "%d %q %t %d\n", c.Modifier, c.Target, c.Missing, len(c.Values))
	for _, v := range c.Values {
		if v.Circle != nil {
			fmt.Fprintf(h, "%#v ", *v.Circle)
			v.Circle = nil // an address is another one every time
		}
		fmt.Fprintf(h, "%#v\n", v) // values all the way down
	}
	if c.Chain != nil {
		fmt.Fprintf(h, "chain %q %d\n", c.Chain.Types, len(c.Chain.Clause))
		for i := range c.Chain.Clause {
			sum(h, &c.Chain.Clause[i])
		}
	}
	if c.Tree != nil {
		fmt.Fprintf(h, "tree %d %d\n", c.Tree.Op, len(c.Tree.Of))
		for i := range c.Tree.Of {
			sum(h, &c.Tree.Of[i])
		}
	}
	if c.Has != nil {
		fmt.Fprintf(h, "has %q %q\n", c.Has.Type, c.Has.By.Code)
		sum(h, &c.Has.Clause)
	}
}
