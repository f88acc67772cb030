package subscription

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"salus/gateway/rest"
)

// errNobody says that no socket took a notification.
var errNobody = errors.New("subscription: no websocket")

// A conn is a websocket that is bound to subscriptions.
type conn struct {
	ws    *websocket.Conn
	leave *rest.Leave // of the request that opened it; nil if it had no authorisation
}

// A token binds whoever shows it to subscriptions of one client.
type token struct {
	client string
	ids    []string
	until  time.Time
}

// newToken makes a binding token.
func (s *Service) newToken(client string, ids []string) (string, time.Time) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails on supported systems
	t := token{client, ids, s.Now().Add(s.TokenLasts)}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.tokens, func(_ string, t token) bool { return !s.Now().Before(t.until) })
	text := hex.EncodeToString(b[:])
	s.tokens[text] = t
	return text, t.until
}

// maxMessage is the longest message that a subscriber sends.
const maxMessage = 4 << 10

// ServeHTTP implements http.Handler: it opens a websocket. Messages are "bind <id>" (R4 2.46.7.2),
// of which only a socket that was opened with an authorisation has the right, and "bind-with-token
// <token>", also as JSON.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	leave, err := s.Guard.Admit(r)
	if err != nil {
		leave = nil // a page cannot send a header; a token will say who it is
	}
	s.mu.Lock()
	over := s.open >= s.Sockets || s.ctx.Err() != nil
	if !over {
		s.open++
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if over {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer func() {
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
		s.wg.Done()
	}()
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: s.Origins})
	if err != nil {
		return // it was answered
	}
	ws.SetReadLimit(maxMessage)
	c := &conn{ws, leave}
	defer s.forget(c)
	for {
		kind, message, err := ws.Read(s.ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageText || !s.command(c, string(message)) {
			_ = ws.Close(websocket.StatusPolicyViolation, "not bound") // it is over either way
			return
		}
	}
}

// command does what a message asks for.
func (s *Service) command(c *conn, message string) bool {
	var m struct {
		Type    string
		Payload struct{ Token string }
	}
	if json.Unmarshal([]byte(message), &m) == nil {
		if m.Type == "ping" {
			return s.write(s.ctx, c, `{"type":"pong"}`) == nil
		}
		message = m.Type + " " + m.Payload.Token
	}
	verb, what, _ := strings.Cut(strings.TrimSpace(message), " ")
	verb, what = strings.TrimSuffix(verb, ":"), strings.TrimSpace(what)
	switch verb {
	case "bind":
		if c.leave == nil || c.leave.Client == "" {
			return false
		}
		return s.bind(c, c.leave.Client, what)
	case "bind-with-token":
		s.mu.Lock()
		t, ok := s.tokens[what]
		s.mu.Unlock()
		if !ok || !s.Now().Before(t.until) {
			return false
		}
		return !slices.ContainsFunc(t.ids, func(id string) bool { return !s.bind(c, t.client, id) })
	}
	return false
}

// bind ties a socket to a subscription of a client.
func (s *Service) bind(c *conn, client, id string) bool {
	s.mu.Lock()
	u := s.subs[id]
	s.mu.Unlock()
	if u == nil || u.client() != client || u.spec.channel != webSocket {
		return false
	}
	ctx, cancel := context.WithTimeout(s.ctx, u.spec.timeout)
	defer cancel()
	hello := "bound " + id
	if u.spec.topic != "" {
		b, err := s.notification(ctx, u, nil, handshake, empty, nil)
		if err != nil {
			return false
		}
		hello = string(b)
	}
	if s.write(ctx, c, hello) != nil {
		return false
	}
	u.mu.Lock()
	u.conns[c] = true
	u.mu.Unlock()
	poke(u.wake)
	return true
}

func (s *Service) write(ctx context.Context, c *conn, message string) error {
	return c.ws.Write(ctx, websocket.MessageText, []byte(message))
}

// tellSockets sends a notification to the sockets of a subscription; one must take it.
func (s *Service) tellSockets(ctx context.Context, u *sub, l *rest.Leave, kind string, events []event) error {
	var messages []string
	if u.spec.topic != "" {
		b, err := s.notification(ctx, u, l, kind, u.spec.content, events)
		if err != nil {
			return err
		}
		messages = []string{string(b)}
	} else {
		for i := range events {
			_, ok, err := s.visible(ctx, l, &events[i])
			if err != nil {
				return err
			}
			if ok {
				messages = append(messages, "ping "+u.id)
			}
		}
	}
	u.mu.Lock()
	conns := slices.Collect(maps.Keys(u.conns))
	u.mu.Unlock()
	took := 0
	for _, c := range conns {
		if s.send(ctx, c, messages) {
			took++
			continue
		}
		_ = c.ws.CloseNow() // its reader ends and forgets it
		u.mu.Lock()
		delete(u.conns, c)
		u.mu.Unlock()
	}
	if took == 0 {
		return errNobody
	}
	return nil
}

func (s *Service) send(ctx context.Context, c *conn, messages []string) bool {
	return !slices.ContainsFunc(messages, func(m string) bool { return s.write(ctx, c, m) != nil })
}

// forget takes a socket that closed from all subscriptions.
func (s *Service) forget(c *conn) {
	_ = c.ws.CloseNow() // it is over either way
	s.mu.Lock()
	subs := slices.Collect(maps.Values(s.subs))
	s.mu.Unlock()
	for _, u := range subs {
		u.mu.Lock()
		delete(u.conns, c)
		u.mu.Unlock()
	}
}

// unbind closes the sockets of a subscription that ended: who is bound to others binds again.
func (s *Service) unbind(u *sub) {
	u.mu.Lock()
	conns := slices.Collect(maps.Keys(u.conns))
	u.conns = map[*conn]bool{}
	u.mu.Unlock()
	for _, c := range conns {
		_ = c.ws.CloseNow() // it is over either way
	}
}
