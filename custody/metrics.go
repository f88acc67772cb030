package custody

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the room; labels are reasons and never ids.
type metrics struct {
	ingested, rejected, receipts, complaints, released, reshared prometheus.Counter
	refusals                                                     *prometheus.CounterVec
	hold, compaction                                             prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "salus_custody_" + name, Help: help})
	}
	m := &metrics{
		ingested:   counter("ingested_batches_total", "Batches whose shares verified and are stored."),
		rejected:   counter("rejected_parcels_total", "Parcels that did not verify against the ledger."),
		receipts:   counter("receipts_total", "Custody receipts committed."),
		complaints: counter("complaints_total", "Complaints about bad envelopes committed."),
		released:   counter("released_shares_total", "Shares released, each after its receipt was on disk."),
		reshared:   counter("reshare_fetched_bytes_total", "Bytes of sealed dealings fetched in resharings."),
		refusals:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "salus_custody_refusals_total", Help: "Requests answered with nothing to release, by the reason found in the own replica."}, []string{"reason"}),
		hold:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: "salus_custody_release_hold_seconds", Help: "How long a release kept the next block waiting: the decision and the fsync of its receipt.", Buckets: prometheus.ExponentialBuckets(1e-4, 2, 14)}),
		compaction: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "salus_custody_compaction_seconds", Help: "How long replacing the root of everything at rest took.", Buckets: prometheus.ExponentialBuckets(1e-2, 2, 16)}),
	}
	if reg != nil {
		reg.MustRegister(m.ingested, m.rejected, m.receipts, m.complaints, m.released, m.reshared, m.refusals, m.hold, m.compaction)
	}
	return m
}

// held observes for how long a release has kept the ledger since start.
func (m *metrics) held(start time.Time) { m.hold.Observe(time.Since(start).Seconds()) }
