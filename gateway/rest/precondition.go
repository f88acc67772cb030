package rest

import (
	"net/http"
	"strings"
	"time"

	"salus/store"
)

// hasTag reports whether a list of entity tags has that of a version, or "*", which is any (RFC 9110, 8.8.3). Versions
// here are numbers, so a tag without W/ is compared as one with it.
func hasTag(list string, vid int64) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimSpace(t); t == "*" || t == etag(vid) || t == strings.TrimPrefix(etag(vid), "W/") {
			return true
		}
	}
	return false
}

// several reports whether If-Match names other than one version, which the store compares by itself.
func (a *ask) several() bool {
	return strings.TrimSpace(a.ifMatch) == "*" || strings.Contains(a.ifMatch, ",")
}

// standing refuses a change that the request's conditions rule out (RFC 9110, 13.1 and 13.2.2). v is the version that
// the caller sees; nil if there is none.
func (a *ask) standing(v *store.Version) error {
	switch {
	case a.several() && (v == nil || !hasTag(a.ifMatch, v.VID)):
		return errVersion
	case a.ifMatch == "" && v != nil && later(v, a.ifUnmodifiedSince):
		return errVersion
	case a.ifNoneMatch != "" && v != nil && hasTag(a.ifNoneMatch, v.VID):
		return errExists
	}
	return nil
}

// later reports whether a version was written after an HTTP date; one that is none counts for nothing.
func later(v *store.Version, date string) bool {
	t, err := http.ParseTime(date)
	return err == nil && v.Updated.Truncate(time.Second).After(t)
}

// unchanged reports whether the caller has this version already (RFC 9110, 13.1.2 and 13.1.3).
func (a *ask) unchanged(v *store.Version) bool {
	if a.ifNoneMatch != "" {
		return hasTag(a.ifNoneMatch, v.VID)
	}
	_, err := http.ParseTime(a.ifModifiedSince)
	return err == nil && !later(v, a.ifModifiedSince)
}
