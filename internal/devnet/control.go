package devnet

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"salus/client"
	"salus/node"
)

// Remote commands a network that runs in another process: start, stop, lie.
type Remote struct{ api *client.API }

// controlName is the file with the control's address while a network runs.
const controlName = "control"

// Control serves commands on loopback until ctx ends. Its token is in the directory.
func (n *Network) Control(ctx context.Context) error {
	seed, err := node.WriteSeed(filepath.Join(n.dir, "control.token"))
	if err != nil {
		return err
	}
	token := fmt.Sprintf("Bearer %x", seed)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("devnet: control: %w", err)
	}
	file := filepath.Join(n.dir, controlName)
	if err := os.WriteFile(file, []byte("http://"+ln.Addr().String()), 0o600); err != nil {
		return fmt.Errorf("devnet: control: %w", err)
	}
	defer os.Remove(file)
	mux := http.NewServeMux()
	serve := func(do func(context.Context, string) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(token)) != 1 {
				http.Error(w, "token", http.StatusUnauthorized)
				return
			}
			if err := do(r.Context(), r.PathValue("org")); err != nil {
				w.WriteHeader(http.StatusConflict)
				_ = json.NewEncoder(w).Encode(client.Problem{Code: "devnet", Text: err.Error()})
				return
			}
			w.WriteHeader(http.StatusNoContent)
		}
	}
	mux.HandleFunc("POST /start/{org}", serve(func(ctx context.Context, org string) error {
		if err := n.Start(ctx, org); err != nil {
			return err
		}
		return n.Ready(ctx, org)
	}))
	mux.HandleFunc("POST /stop/{org}", serve(func(_ context.Context, org string) error { return n.Stop(org) }))
	mux.HandleFunc("POST /lie/{org}", serve(n.Lie))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Attach finds the network that runs in dir.
func Attach(ctx context.Context, dir string) (*Remote, error) {
	at, err := os.ReadFile(filepath.Join(dir, controlName))
	if err != nil {
		return nil, errStopped
	}
	token, err := os.ReadFile(filepath.Join(dir, "control.token"))
	if err != nil {
		return nil, errStopped
	}
	r := &Remote{client.NewAPI(string(at), strings.TrimSpace(string(token)))}
	// A killed network leaves its file behind.
	if err := r.command(ctx, "stop", "nobody"); errors.Is(err, client.ErrUnreachable) {
		return nil, errStopped
	}
	return r, nil
}

func (r *Remote) command(ctx context.Context, verb, org string) error {
	return r.api.JSON(ctx, http.MethodPost, "/"+verb+"/"+org, nil, nil)
}

// Start starts an organisation and waits until it takes part.
func (r *Remote) Start(ctx context.Context, org string) error { return r.command(ctx, "start", org) }

// Stop stops an organisation.
func (r *Remote) Stop(ctx context.Context, org string) error { return r.command(ctx, "stop", org) }

// Lie replaces an organisation by a lying custodian.
func (r *Remote) Lie(ctx context.Context, org string) error { return r.command(ctx, "lie", org) }
