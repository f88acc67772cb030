package balp

import "net/http"

// An Answer is an HTTP answer that waits for its event: status and body go out when that is on disk, and if
// it cannot be, nothing is answered. It is for one request.
type Answer struct {
	http.ResponseWriter
	// Record keeps the event of an answer of that status; nil means that it is on disk.
	Record func(status int) error
	// Refuse says in the place of the answer that what happens cannot be recorded, and why to the operator.
	Refuse func(w http.ResponseWriter, err error)

	begun, refused bool
}

// WriteHeader records, then sends.
func (a *Answer) WriteHeader(status int) {
	if a.begun {
		return
	}
	a.begun = true
	if err := a.Record(status); err != nil {
		a.refused = true
		clear(a.Header())
		a.Refuse(a.ResponseWriter, err)
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (a *Answer) Write(b []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	if a.refused {
		return len(b), nil
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Finish records what answered nothing. Call it when the handler has returned.
func (a *Answer) Finish() {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
}
