package balp

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"salus/ledger/module/consent"
)

// fill gives fields of a value something or leaves them, by chance.
func fill(r *rand.Rand, v reflect.Value, much float64) {
	if r.Float64() > much {
		return
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(r.Int64N(1<<35), r.Int64N(1e9)).In(time.FixedZone("", r.IntN(3)*3600))))
		return
	}
	if v.Type() == reflect.TypeFor[consent.Purposes]() {
		all := consent.PurposesOf(consent.TREAT, consent.HRESCH, consent.BTG, consent.HPAYMT)
		v.Set(reflect.ValueOf(all & consent.Purposes(r.Uint64())))
		return
	}
	switch v.Kind() {
	case reflect.String:
		some := []string{"x", "Practitioner/x", `a "quoted" \ one`, "<&>", "Zoë", "\u2028\x00\x7f", "\xff", "line\nline"}
		v.SetString(some[r.IntN(len(some))])
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()))
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), 1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			fill(r, v.Index(i), much)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem(), 1)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(r, field, much)
		}
	default:
		panic("balp: an event has a field of a new kind")
	}
}

func TestEventsAreWrittenAsEncodingJSONWritesThem(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		var e Event
		fill(r, reflect.ValueOf(&e).Elem(), [...]float64{0.3, 0.7, 1}[i%3])
		want, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := appendJSON(nil, &e)
		if err != nil || string(got) != string(want) {
			t.Fatalf("%v\n got %s\nwant %s", err, got, want)
		}
	}
	for _, e := range []Event{{Time: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}, {Purposes: 1}} {
		if _, err := json.Marshal(&e); err == nil {
			t.Fatal("encoding/json writes it")
		}
		if _, err := appendJSON(nil, &e); err == nil {
			t.Errorf("what has no form is written: %+v", e)
		}
	}
}

// BenchmarkEncode is one event's JSON, beside encoding/json's.
func BenchmarkEncode(b *testing.B) {
	e := wholeEvent(Read)
	b.Run("here", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := appendJSON(make([]byte, 0, 1024), &e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(&e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
