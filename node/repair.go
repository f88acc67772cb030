package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"salus/exchange"
	"salus/internal/hedge"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/vault"
)

// repair scrubs the vault and fetches damaged packs from whoever has them.
func (n *Node) repair(ctx context.Context) (vault.Report, error) {
	rep, err := n.vault.Scrub(ctx, nil)
	if err != nil || len(rep.Corrupt)+len(rep.Suspect) == 0 {
		return rep, err
	}
	n.log.WarnContext(ctx, "vault_damaged", "packs", len(rep.Corrupt)+len(rep.Suspect))
	return n.vault.Repair(ctx, func(ctx context.Context, id vault.PackID) (io.ReadCloser, error) {
		v := n.app.View()
		active := governance.Active(v)
		v.Close()
		var others []tx.Account
		for _, m := range active {
			if m.Account != n.cfg.Member {
				others = append(others, m.Account)
			}
		}
		return fetchPack(ctx, n.links, others, id)
	})
}

// A downloader opens what members hold; *peer.Client is one.
type downloader interface {
	Download(ctx context.Context, to tx.Account, path, arg string) (io.ReadCloser, int64, error)
}

// errOtherPack is what a member that sends other bytes gets into the log.
var errOtherPack = errors.New("node: a member sent other bytes than the pack's")

// packTime is how long a member may take for a pack before the next is asked too.
const packTime = 10 * time.Second

// fetchPack asks members for a pack until one sends it: who sends anything else, or keeps silent, must not keep it from
// being found with the next. Only if all of them answered that they do not have it is it not found: an unreachable one may
// still hold the last copy.
func fetchPack(ctx context.Context, links downloader, members []tx.Account, id vault.PackID) (io.ReadCloser, error) {
	var mu sync.Mutex // guards missing
	missing := vault.ErrNotFound
	b, err := hedge.First(ctx, members, packTime, func(ctx context.Context, m tx.Account) ([]byte, error) {
		b, err := download(ctx, links, m, id)
		if err != nil && !errors.Is(err, errNoPack) {
			mu.Lock()
			defer mu.Unlock()
			missing = fmt.Errorf("node: a member that may hold the pack: %w", err)
		}
		return b, err
	}, nil)
	switch {
	case err == nil:
		return io.NopCloser(bytes.NewReader(b)), nil
	case ctx.Err() != nil:
		return nil, ctx.Err() // not all were asked
	}
	return nil, missing
}

func download(ctx context.Context, links downloader, from tx.Account, id vault.PackID) ([]byte, error) {
	body, _, err := links.Download(ctx, from, exchange.PathPack, id.String())
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(body, vault.MaxPack+1))
	if err = errors.Join(err, body.Close()); err == nil && vault.IDOf(b) != id {
		err = errOtherPack
	}
	return b, err
}
