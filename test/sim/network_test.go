package sim

// A network carries messages between members. It delays, loses, repeats and reorders them,
// and cuts members off from each other.
type network struct {
	w     *world
	loss  float64
	again float64 // chance that a message comes twice
	slow  int64   // longest usual delay, milliseconds
	side  []int   // of each member in a partition; nil for none
}

// cut reports whether messages between two members cannot pass.
func (x *network) cut(a, b int) bool { return x.side != nil && x.side[a] != x.side[b] }

// send brings a message to a member, some time, perhaps. What a member sends after its disk
// has crashed was never sent.
func (x *network) send(from *node, to int, f func(to *node)) {
	w := x.w
	if !from.alive() {
		return
	}
	t := w.nodes[to]
	if from.i == to {
		w.at(0, func() { t.step(func() { f(t) }) })
		return
	}
	copies := 1
	if w.chance(x.again) {
		copies = 2
		w.saw("messages repeated")
	}
	if x.cut(from.i, to) || w.chance(x.loss) {
		w.saw("messages lost")
		return
	}
	for range copies {
		delay := w.between(1, 10+x.slow)
		if x.slow > 0 && w.chance(0.05) {
			delay += w.between(0, 10*x.slow)
			w.saw("messages late")
		}
		w.at(delay, func() {
			if x.cut(from.i, to) {
				w.saw("messages lost")
				return
			}
			t.step(func() { f(t) })
		})
	}
}

// spread sends to everybody else and to itself.
func (x *network) spread(from *node, f func(to *node)) {
	for i := range x.w.nodes {
		x.send(from, i, f)
	}
}

// trouble plans what goes wrong in the next so many milliseconds.
func (w *world) trouble(span int64) {
	w.net.again = w.rng.Float64() * 0.1
	for at := w.between(500, 4000); at < span; at += w.between(1500, 9000) {
		w.at(at, w.misfortune)
	}
}

// misfortune is one thing that goes wrong.
func (w *world) misfortune() {
	if w.calmed {
		return
	}
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	switch k := w.rng.IntN(13); {
	case k < 4: // a crash inside a durable write
		if !n.up {
			return
		}
		how, count := crash(w.rng.IntN(int(crashes))), 1+w.rng.IntN(6)
		w.log("disk %d will crash at sync %d, %s", n.i, count, how)
		n.disk.armCrash(count, how, w.rng.Float64())
	case k < 6:
		if n.up {
			w.log("power cut at %d", n.i)
			w.saw("power cuts")
			n.crash()
		}
	case k < 8:
		w.partition()
	case k < 9:
		w.net.loss = w.rng.Float64() * 0.3
		w.log("loss is %.2f", w.net.loss)
	case k < 10:
		w.net.slow = w.between(0, 800)
		w.log("delay is up to %d", w.net.slow)
	case k < 11:
		if w.truth.tip <= 25 || n.byzantine() {
			return
		}
		n.loseLedger()
	case k < 12:
		n.skew = w.between(-1500, 1500)
		w.log("clock of %d is off by %d", n.i, n.skew)
	default:
		w.stopMany()
	}
}

// partition splits the members for a while.
func (w *world) partition() {
	side := make([]int, len(w.nodes))
	for i := range side {
		side[i] = w.rng.IntN(2)
	}
	w.net.side = side
	w.tempt()
	w.saw("partitions")
	w.log("partition %v", side)
	w.at(w.between(500, 25_000), func() {
		w.net.side = nil
		w.log("partition heals")
	})
}

// tempt lets readers use their old sessions when a replica may have got stale.
func (w *world) tempt() {
	for range 3 {
		w.at(w.between(12_000, 22_000), func() {
			if !w.calmed {
				w.clients.readAgain()
			}
		})
	}
}

// stopMany takes more than f members down at once: nothing can be decided until they are back.
func (w *world) stopMany() {
	w.saw("blackouts")
	w.tempt()
	for _, i := range w.rng.Perm(len(w.nodes))[:w.faulty()+1+w.rng.IntN(2)] {
		if w.nodes[i].up {
			w.log("power cut at %d", i)
			w.saw("power cuts")
			w.nodes[i].crash()
		}
	}
}

// calm ends all trouble that is not Byzantine.
func (w *world) calm() {
	w.calmed = true
	w.log("calm")
	w.net.side, w.net.loss, w.net.again, w.net.slow = nil, 0, 0, 0
	for _, n := range w.nodes {
		n.skew = 0
		n.disk.armCrash(0, lost, 0)
	}
	for _, n := range w.nodes {
		if !n.up {
			n.start()
		}
	}
}
