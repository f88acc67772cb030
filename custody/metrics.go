package custody

import "github.com/prometheus/client_golang/prometheus"

// metrics of the room; labels are reasons and never ids.
type metrics struct {
	ingested, rejected, receipts, released prometheus.Counter
	refusals                               *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		ingested: prometheus.NewCounter(prometheus.CounterOpts{Name: "salus_custody_ingested_batches_total", Help: "Batches whose shares verified and are stored."}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{Name: "salus_custody_rejected_parcels_total", Help: "Parcels that did not verify against the ledger."}),
		receipts: prometheus.NewCounter(prometheus.CounterOpts{Name: "salus_custody_receipts_total", Help: "Custody receipts committed."}),
		released: prometheus.NewCounter(prometheus.CounterOpts{Name: "salus_custody_released_shares_total", Help: "Shares released, each after its receipt was on disk."}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "salus_custody_refusals_total", Help: "Requests answered with nothing to release, by the reason found in the own replica."}, []string{"reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.ingested, m.rejected, m.receipts, m.released, m.refusals)
	}
	return m
}
