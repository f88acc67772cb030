package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"salus/ledger/module/governance"
	"salus/vault"
)

// snapshots takes the state-sync snapshot that is due, beside consensus.
func (n *Node) snapshots(ctx context.Context) error {
	last := int64(0)
	for {
		changed := n.hub.Changed()
		v := n.app.View()
		every := int64(governance.ParamsOf(v).SnapshotInterval)
		v.Close()
		if h := n.app.Head().Height; every > 0 && h/every > last/every {
			last = h
			if err := n.app.TakeSnapshot(); err != nil {
				n.log.WarnContext(ctx, "snapshot_failed", "err", err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// scrub reads all ciphertext again from time to time and mends what is damaged from the
// other members: a disk tells of its faults only when it is read.
func (n *Node) scrub(ctx context.Context) error {
	t := time.NewTicker(n.cfg.Vault.ScrubEvery.Duration)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		if _, err := n.repair(ctx); err != nil && ctx.Err() == nil {
			n.log.WarnContext(ctx, "scrub_failed", "err", err)
		}
	}
}

// stream turns a verified read into an answer.
func stream(b []byte, err error) (io.ReadCloser, int64, error) {
	if errors.Is(err, vault.ErrNotFound) {
		return nil, 0, errNoPack
	}
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// gauges exports what the rooms count but do not register themselves.
func (n *Node) gauges(reg prometheus.Registerer) {
	gauge := func(name, help string, f func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("salus_ledger_height", "Height of the last committed block.", func() float64 { return float64(n.app.Head().Height) })
	gauge("salus_ledger_block_age_seconds", "Age of the last committed block by this machine's clock.", func() float64 {
		return time.Since(time.Unix(int64(n.app.Head().Time), 0)).Seconds()
	})
	gauge("salus_clock_offset_seconds", "By how much this machine's clock is ahead of block time, below 0 behind: the best of the last blocks.", func() float64 {
		return time.Duration(n.clock.offset.Load()).Seconds()
	})
	gauge("salus_ledger_log_entries", "Entries in the ledger's log.", func() float64 {
		v := n.app.View()
		defer v.Close()
		return float64(v.Size())
	})
	gauge("salus_ledger_mempool_transactions", "Transactions waiting in the mempool.", func() float64 {
		if r := n.comet.Load(); r != nil {
			return float64(r.node.Mempool().Size())
		}
		return 0
	})
	gauge("salus_ledger_peers", "Consensus peers connected.", func() float64 {
		if r := n.comet.Load(); r != nil {
			return float64(r.node.Switch().Peers().Size())
		}
		return 0
	})
	gauge("salus_ready", "1 while the node takes part in consensus with a fresh head.", func() float64 {
		if n.ready() == nil {
			return 1
		}
		return 0
	})
	gauge("salus_ledger_no_quorum_seconds", "0 while the ledger goes on; how long ago its last block was while it stands still.", func() float64 {
		if since, lost := n.quorum.Since(); lost {
			return time.Since(since).Seconds()
		}
		return 0
	})
	gauge("salus_journal_faults", "Places where this gateway's journal is not what the ledger has of it, as last compared.", func() float64 {
		return float64(n.keeper.faults.Load())
	})
	gauge("salus_journal_unmatched", "Lists of records that were asked for in this organisation's name and that only the ledger, or only this gateway's journal, tells of.", func() float64 {
		return float64(n.arrivals.unmatched.Load())
	})
	gauge("salus_vault_packs", "Packs held.", func() float64 { return float64(n.vault.Stats().Packs) })
	gauge("salus_vault_disk_bytes", "Bytes of all vault segments.", func() float64 { return float64(n.vault.Stats().DiskBytes) })
	gauge("salus_vault_damaged_packs", "Packs that wait for repair.", func() float64 { return float64(n.vault.Stats().Damaged) })
}
