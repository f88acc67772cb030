package node

import (
	"bytes"
	"context"
	"maps"
	"net/http"

	"salus/gateway/rest"
)

// A transactor executes transactions for somebody within this process, as the FHIR server does for
// those who send them: checked, permitted, indexed, told to subscribers and carried to the ledger.
type transactor struct{ server *rest.Server }

// leaveKey is where a context has the leave of a transaction.
type leaveKey struct{}

// contextGuard admits what comes from this process with the leave that is in its context.
type contextGuard struct{}

// Admit implements rest.Guard.
func (contextGuard) Admit(r *http.Request) (*rest.Leave, error) {
	l, ok := r.Context().Value(leaveKey{}).(*rest.Leave)
	if !ok || l == nil {
		return nil, rest.ErrForbidden
	}
	return l, nil
}

// transactionBytes bounds a transaction from within: the resources of a document or message, its bytes in base64.
const transactionBytes = 64 << 20

// newTransactor makes one beside the FHIR server.
func newTransactor(server *rest.Server) *transactor {
	c := server.Config
	c.Guard, c.MaxBody = contextGuard{}, transactionBytes
	return &transactor{rest.New(c)}
}

// execute runs a transaction Bundle with a leave. prefers says how safe it is to be before this
// returns (chart.HeaderWait). The answer is as the FHIR server gives it: a status and a
// transaction-response or an OperationOutcome.
func (t *transactor) execute(ctx context.Context, l *rest.Leave, prefers http.Header, bundle []byte) (status int, header http.Header, body []byte) {
	r, err := http.NewRequestWithContext(context.WithValue(ctx, leaveKey{}, l), http.MethodPost, "/fhir", bytes.NewReader(bundle))
	if err != nil {
		return http.StatusInternalServerError, nil, nil
	}
	maps.Copy(r.Header, prefers)
	r.Header.Set("Content-Type", "application/fhir+json")
	r.Header.Set("Prefer", "return=minimal")
	a := &caught{header: http.Header{}}
	t.server.ServeHTTP(a, r)
	return a.status, a.header, a.body.Bytes()
}

// caught is an answer within the process.
type caught struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (c *caught) Header() http.Header { return c.header }

// WriteHeader implements http.ResponseWriter.
func (c *caught) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

// Write implements http.ResponseWriter.
func (c *caught) Write(b []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.body.Write(b)
}
