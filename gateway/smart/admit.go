package smart

import (
	"slices"
	"time"
)

// An Admission is a sign-in that an app of the organisation's own took: its portal, by a passkey.
type Admission struct {
	Client    string // approved: the organisation answers for it to its staff
	Redirect  string // one of its addresses; the code is redeemed with it
	Challenge string // of PKCE, S256
	Scope     string
	User      *User
	Purpose   string    // stated
	SignedIn  time.Time // when she showed who she is
	// Declared is what of an emergency she confirmed in the same step: then alone an emergency may be her
	// purpose.
	Declared string
}

// Admit gives the app a code without a page, because nothing is left to ask: the app is approved, the
// person is staff and has just signed in, the purpose is stated. Errors are those that an app would be told.
func (s *Server) Admit(a *Admission) (code string, err error) {
	c, err := s.client(a.Client)
	if err != nil {
		return "", err
	}
	switch {
	case !c.Approved || !slices.Contains(c.Grants, grantCode) || !slices.Contains(c.Redirects, a.Redirect):
		return "", errNotAllowed
	case !isChallenge(a.Challenge):
		return "", invalidRequest("code_challenge is required")
	case a.User == nil || a.User.ID == "" || a.User.bound():
		return "", &oauthError{0, "access_denied", "the person who signed in may not do that"}
	case !c.allowsPurpose(a.Purpose) || emergency(a.Purpose) != (a.Declared != ""):
		return "", errPurpose
	case !a.User.mayActFor(a.Purpose):
		return "", &oauthError{0, "access_denied", "the person may not act for that purpose of use"}
	}
	asked, ok := parseScopes(a.Scope)
	if !ok {
		return "", errInvalidScope
	}
	scopes := s.grantable(asked, c)
	if a.User.Scopes != nil {
		scopes = narrow(scopes, a.User.Scopes)
	}
	if len(scopes) == 0 || has(scopes, PatientLevel) {
		return "", errInvalidScope
	}
	code = newSecret()
	now := s.Now()
	row := codeRow{
		ends: until(now.Add(codeKept)), Until: now.Add(codeLife).Unix(), Redirect: a.Redirect, Challenge: a.Challenge, GrantID: newSecret()[:22],
		Grant: Grant{
			Client: c.ID, Name: c.Name, User: a.User, Scopes: scopes, Purpose: a.Purpose, Declared: a.Declared,
			SignedIn: a.SignedIn.Unix(), Made: now.UTC().Truncate(time.Second),
		},
	}
	// The session that online access ends with. No browser has its cookie: it ends by itself, or with the grant.
	sess := newSecret()
	if named(scopes, "online_access") && !named(scopes, "offline_access") {
		row.Grant.Session = digest(rowSession, sess)
	}
	err = s.Keeper.Change(func(rows Rows) error {
		if row.Grant.Session != "" {
			if err := put(rows, rowSession+row.Grant.Session, &session{until(now.Add(s.Session)), a.User, a.SignedIn.Unix()}); err != nil {
				return err
			}
		}
		return put(rows, keyOf(rowCode, code), &row)
	})
	return code, err
}
