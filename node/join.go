package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	rpc "github.com/cometbft/cometbft/rpc/client/http"

	"salus/config"
	"salus/ledger/tx"
)

var (
	errServers = tx.Refuse(0x2414, "node: state sync needs the addresses of at least two members' RPC")
	errDiffer  = tx.Refuse(0x2415, "node: the members name different headers of that height: one of them is wrong, or of another network")
	errHash    = tx.Refuse(0x2416, "node: the members name another header than the hash that was given")
	errChain   = tx.Refuse(0x2417, "node: a server is of another network than the genesis file")
)

// trustBelow is how far below the lowest member's last block the header is that a node trusts.
const trustBelow = 10

// Join sets a home up for state sync: all servers must name the same header of a height (0: one of just
// now), and that of hash unless it is empty. It writes nothing if they do not.
func Join(ctx context.Context, c *config.Config, servers []string, height int64, hash string) error {
	if len(servers) < 2 {
		return errServers
	}
	doc, err := loadGenesis(c)
	if err != nil {
		return err
	}
	var nodes []*rpc.HTTP
	lowest := int64(0)
	for _, s := range servers {
		n, err := rpc.New(s, "/websocket")
		if err != nil {
			return fmt.Errorf("node: %s: %w", s, err)
		}
		status, err := n.Status(ctx)
		if err != nil {
			return fmt.Errorf("node: %s: %w", s, err)
		}
		if status.NodeInfo.Network != doc.ChainID {
			return fmt.Errorf("%w: %s", errChain, s)
		}
		if at := status.SyncInfo.LatestBlockHeight; lowest == 0 || at < lowest {
			lowest = at
		}
		nodes = append(nodes, n)
	}
	if height == 0 {
		height = max(lowest-trustBelow, 1)
	}
	named := ""
	for i, n := range nodes {
		commit, err := n.Commit(ctx, &height)
		if err != nil {
			return fmt.Errorf("node: %s: block %d: %w", servers[i], height, err)
		}
		got := hex.EncodeToString(commit.Hash())
		if named != "" && got != named {
			return fmt.Errorf("%w: block %d", errDiffer, height)
		}
		named = got
	}
	if hash != "" && !strings.EqualFold(hash, named) {
		return errHash
	}
	c.Ledger.StateSync = config.StateSync{Enable: true, Servers: servers, TrustHeight: height, TrustHash: named}
	return c.Save()
}
