package portal

import "net/http"

// serve is a route's handler: where the request comes from, whose it is, how much it may send.
func (p *Portal) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.admit(w, r, rt); err != nil {
			p.fail(w, r, err)
		}
	})
}

func (p *Portal) admit(w http.ResponseWriter, r *http.Request, rt route) error {
	w.Header().Set("Cache-Control", "no-store")
	if r.Host != p.host { // another name that leads here (DNS rebinding)
		return errOrigin
	}
	if !rt.navigated && !p.ours(r) {
		return errOrigin
	}
	var s *session
	if rt.who != nobody {
		var ok bool
		if s, ok = p.find(r, !rt.background); !ok {
			return errSession
		}
		if !rt.who.admits(s.role) {
			return errRole
		}
		// A session of staff lasts as long as the authorisation server goes on with it.
		if s.bearer != nil && !rt.leaves {
			if _, err := p.token(r, s); err != nil {
				p.finish(w, r)
				return err
			}
		}
	} else if rt.limited && !p.limits.allow(r, p.Now()) {
		return errRate
	}
	r.Body = http.MaxBytesReader(w, r.Body, rt.bytes)
	return rt.handle(w, r, s)
}

// admits: an admin is staff; a patient is nobody else.
func (r role) admits(have role) bool { return r == have || r == staff && have == admin || r == anyone }

// anyone is the role of a route for every session.
const anyone role = 0xff

// ours reports whether a request was made by this portal's own pages. Every browser with passkeys
// sends Sec-Fetch-Site (Fetch Metadata), Origin goes with what changes something; other programs
// must say where they act, too.
func (p *Portal) ours(r *http.Request) bool {
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if origin != "" && origin != p.Origin {
		return false
	}
	if site != "" && site != "same-origin" {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return origin == p.Origin
	}
	return site == "same-origin" || origin == p.Origin
}
