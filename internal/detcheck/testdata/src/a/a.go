package a

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"math/rand/v2" // want "import of math/rand/v2"
	"os"           // want "import of os"
	"reflect"
	"slices"
	"sort"
	"sync"
	"time"
)

type named map[string]int

type row struct {
	Share float64 // want "floating point"
	Count uint64
}

func order(m map[string]int, n named, l []int) {
	for range m { // want "map iteration"
	}
	for k := range n { // want "map iteration"
		_ = k
	}
	for range l {
	}
	for _, k := range slices.Sorted(maps.Keys(m)) { // want "map iteration"
		_ = k
	}
	for range maps.Values(m) { // want "map iteration"
	}
	keys := maps.Keys[map[string]int] // want "map iteration"
	_ = keys
	_ = reflect.ValueOf(m).MapKeys() // want "map iteration"
	var s sync.Map
	s.Range(func(any, any) bool { return true }) // want "map iteration"
	sort.Ints(l)
	maps.Copy(m, n)
}

func generic[M ~map[string]int](m M) {
	for range m { // want "map iteration"
	}
}

func concurrency(c chan int) {
	go func() {}() // want "goroutine"
	var w sync.WaitGroup
	w.Go(func() {}) // want "goroutine"
	select {        // want "select"
	case <-c:
	}
}

func floats(x float64, n int) bool { // want "floating point"
	y := 1.5              // want "floating point"
	_ = x * 2             // want "floating point"
	_ = float32(n)        // want "floating point" "floating point"
	_ = math.Sqrt(y)      // want "floating point"
	_ = complex(x, y)     // want "floating point"
	_ = bits.Len(uint(n)) // integers are fine
	return x < y          // want "floating point"
}

func outside() {
	_ = time.Now()                   // want "clock"
	now := time.Now                  // want "clock"
	_ = time.Since(now())            // want "clock"
	_ = time.Unix(1, 0).UTC().Unix() // a time that a block told us
	_ = time.Unix(1, 0).Local()      // want "time zone"
	_ = rand.Int()
	_ = os.Args
	fmt.Println() // want "output"
	println()     // want "output"
	_ = fmt.Sprintf("%d", 1)
}

func excused(m map[string]int) (n int) {
	//detcheck:allow a sum does not depend on the order
	for _, v := range m {
		n += v
	}
	for _, v := range m { //detcheck:allow a sum does not depend on the order
		n += v
	}
	//detcheck:allow
	for _, v := range m { // want "map iteration"
		n += v
	}
	return n
}
