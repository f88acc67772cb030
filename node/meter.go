package node

import (
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newRegistry is this node's own: two nodes in one process must not share collectors. It begins
// with what the process uses: memory, goroutines, file descriptors, processor time. The live heap
// is what the last collection found in use; only its growth is a leak.
func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	live := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^/gc/heap/live:bytes$")}
	reg.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(live)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}
