package node

import (
	"context"

	abcicli "github.com/cometbft/cometbft/abci/client"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/libs/service"
	"github.com/cometbft/cometbft/proxy"
)

// Connections connects CometBFT to an application in the same process that does its own
// locking. CometBFT's own local connections let one call in at a time, so that a node checks
// transactions, most of which is verifying signatures, on one core only.
func Connections(app abci.Application) proxy.ClientCreator { return connections{app} }

type connections struct{ app abci.Application }

// NewABCIClient implements proxy.ClientCreator.
func (c connections) NewABCIClient() (abcicli.Client, error) {
	n := &connection{Application: c.app}
	n.BaseService = *service.NewBaseService(nil, "connection", n)
	return n, nil
}

// A connection is one of CometBFT's four connections to the application.
type connection struct {
	service.BaseService
	abci.Application

	answered abcicli.Callback // set once, before the first call
}

// SetResponseCallback implements abcicli.Client.
func (c *connection) SetResponseCallback(f abcicli.Callback) { c.answered = f }

// CheckTxAsync implements abcicli.Client: the answer is there when it returns.
func (c *connection) CheckTxAsync(ctx context.Context, req *abci.RequestCheckTx) (*abcicli.ReqRes, error) {
	res, err := c.CheckTx(ctx, req)
	if err != nil {
		return nil, err
	}
	r := abcicli.NewReqRes(abci.ToRequestCheckTx(req))
	r.Response = abci.ToResponseCheckTx(res)
	c.answered(r.Request, r.Response)
	r.InvokeCallback() // nobody has set one yet: it marks the request as answered
	return r, nil
}

// Error implements abcicli.Client.
func (*connection) Error() error { return nil }

// Flush implements abcicli.Client.
func (*connection) Flush(context.Context) error { return nil }

// Echo implements abcicli.Client.
func (*connection) Echo(_ context.Context, msg string) (*abci.ResponseEcho, error) {
	return &abci.ResponseEcho{Message: msg}, nil
}
