package record

import "github.com/prometheus/client_golang/prometheus"

// metrics of the room. No label ever carries an id, a name or anything of a record.
type metrics struct {
	records prometheus.Counter
	outbox  prometheus.Gauge
	deal    prometheus.Histogram
	active  prometheus.Histogram
	retries *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		records: prometheus.NewCounter(prometheus.CounterOpts{Name: "salus_record_active_total", Help: "Records of this author that became active."}),
		outbox:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "salus_record_outbox_batches", Help: "Batches in the outbox: stored, not yet active."}),
		deal:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "salus_record_deal_seconds", Help: "Time to seal one batch.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 12)}),
		active:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "salus_record_active_seconds", Help: "Time from sealed to active.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 14)}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "salus_record_retries_total", Help: "Steps of a delivery that had to be tried again."}, []string{"step"}),
	}
	if reg != nil {
		reg.MustRegister(m.records, m.outbox, m.deal, m.active, m.retries)
	}
	return m
}
