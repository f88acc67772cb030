package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"salus/gateway"
)

// feedCmd is about the node's HL7 v2 feeds (docs/hl7v2.md).
type feedCmd struct {
	List    feedList    `cmd:"" help:"List the feeds and what became of their messages."`
	Dead    feedDead    `cmd:"" help:"List a feed's dead letters: what could not be applied or was not taken."`
	Show    feedShow    `cmd:"" help:"Print a message as it was received; the log tells that somebody looked."`
	Replay  feedReplay  `cmd:"" help:"Do a dead letter again, after what was wrong is put right."`
	Discard feedDiscard `cmd:"" help:"Take a dead letter from the list; its bytes stay in the feed's journal."`
	Aside   feedAside   `cmd:"" help:"Make a dead letter of the message that the others of its feed wait for."`
	Send    feedSend    `cmd:"" help:"Queue a message for a feed that sends."`
	Lost    feedLost    `cmd:"" help:"List what a feed's messages about a resource leave out; the log tells that somebody looked."`
}

type feedList struct{}

func (*feedList) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var list []gateway.Feed
	if err := api.JSON(e.ctx, "GET", "/v1/feeds", nil, &list); err != nil {
		return err
	}
	return e.show(list, "feed direction address tls state received applied pending first dead", func(add func(...any)) {
		for _, f := range list {
			tls := "plain"
			if f.TLS {
				tls = "tls"
			}
			add(f.Name, f.Direction, f.Address, tls, f.State, f.Received, f.Applied, f.Pending, first(f.First), f.Dead)
		}
	})
}

// feedArg names a feed.
type feedArg struct {
	Feed string `arg:"" help:"Name of the feed."`
}

func (a *feedArg) path(rest string) string { return "/v1/feeds/" + url.PathEscape(a.Feed) + rest }

// letterArg names a message of a feed.
type letterArg struct {
	feedArg

	Number uint64 `arg:"" help:"Number of the message, as salus feed dead prints it."`
}

type feedDead struct{ feedArg }

func (c *feedDead) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var list []gateway.Letter
	if err := api.JSON(e.ctx, "GET", c.path("/letters"), nil, &list); err != nil {
		return err
	}
	return e.show(list, "number received answer reason sha256", func(add func(...any)) {
		for _, l := range list {
			add(l.Number, l.Received.Local().Format(time.DateTime), l.Code, l.Reason, l.Hash[:16])
		}
	})
}

type feedShow struct{ letterArg }

func (c *feedShow) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	r, err := api.Do(e.ctx, "GET", c.path(fmt.Sprintf("/messages/%d", c.Number)), "", nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(e.out, r.Body)
	return errors.Join(err, r.Body.Close())
}

type feedReplay struct{ letterArg }

func (c *feedReplay) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	if err := api.JSON(e.ctx, "POST", c.path(fmt.Sprintf("/letters/%d/replay", c.Number)), nil, nil); err != nil {
		return err
	}
	e.say("message %d is done", c.Number)
	return nil
}

type feedDiscard struct{ letterArg }

func (c *feedDiscard) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	return api.JSON(e.ctx, "DELETE", c.path(fmt.Sprintf("/letters/%d", c.Number)), nil, nil)
}

type feedAside struct{ letterArg }

func (c *feedAside) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	return api.JSON(e.ctx, "POST", c.path(fmt.Sprintf("/messages/%d/aside", c.Number)), nil, nil)
}

type feedSend struct {
	feedArg

	File    string `arg:"" help:"The message, one segment a line." type:"existingfile"`
	Patient string `help:"Whom it is about, Patient/<id> of the own store: the disclosure is recorded for her."`
}

func (c *feedSend) Run(e *env) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("message: %w", err)
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	path := c.path("/send")
	if c.Patient != "" {
		path += "?" + url.Values{"patient": {c.Patient}}.Encode()
	}
	r, err := api.Do(e.ctx, "POST", path, gateway.MediaHL7, bytes.NewReader(segments(raw)))
	if err != nil {
		return err
	}
	var out gateway.Queued
	if err := errors.Join(json.NewDecoder(r.Body).Decode(&out), r.Body.Close()); err != nil {
		return fmt.Errorf("the node's answer: %w", err)
	}
	return e.show(out, "", func(add func(...any)) { add("number", out.Number) })
}

type feedLost struct {
	feedArg

	Resource string `arg:"" help:"The resource, Type/id of the own store."`
	Event    string `help:"The message, as ADT^A31. Default: those of a first version."`
}

func (c *feedLost) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	q := url.Values{"resource": {c.Resource}}
	if c.Event != "" {
		q.Set("event", c.Event)
	}
	var list []gateway.FeedLost
	if err := api.JSON(e.ctx, "GET", c.path("/lost?"+q.Encode()), nil, &list); err != nil {
		return err
	}
	return e.show(list, "event resource missing", func(add func(...any)) {
		for _, l := range list {
			for _, m := range l.Missing {
				add(l.Event, m.Resource, m.Path)
			}
			if l.More {
				add(l.Event, "-", "(there is more to look at)")
			}
		}
	})
}

// segments ends segments as HL7 v2 does (2.5.4), whatever an editor wrote.
func segments(raw []byte) []byte {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\r"))
	return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r"))
}

func first(n uint64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
