// Command train makes a compression dictionary for seal/compress from the project's own
// synthetic patients: no real record, and no other data set, has any part in it.
//
// A dictionary that records were sealed with must stay as it is for ever, so train never
// writes over a file: a better dictionary is a new version under a new ID.
//
//	train <file> <id>
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/klauspost/compress/zstd"

	"salus/internal/sample"
)

const (
	patients  = 60
	resources = 150       // of each patient
	history   = 112 << 10 // bytes of the dictionary's content: resources on one line ...
	pretty    = 48 << 10  // ... and as they stand in indented Bundles
	window    = 16        // bytes that must be seen to call a piece of text known
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("train: want a file and an ID")
	}
	id, err := strconv.ParseUint(args[1], 10, 31)
	if err != nil {
		return fmt.Errorf("train: ID: %w", err)
	}
	d, err := Train(uint32(id))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("train: a dictionary is never written over: %w", err)
	}
	_, err = f.Write(d)
	return errors.Join(err, f.Close())
}

// Train returns a dictionary. Its history is whole resources, each chosen because much of
// it is new; whole ones because an identifier between two matches then costs no new offset.
func Train(id uint32) ([]byte, error) {
	var all [][]byte
	for seed := range uint64(patients) {
		all = append(all, bytes.Split(bytes.TrimSpace(sample.NDJSON(seed, resources)), []byte("\n"))...)
		all = append(all, entries(sample.Bundle(seed, resources))...)
	}
	d, err := zstd.BuildDict(zstd.BuildDictOptions{
		ID: id, Contents: all[:6000], History: append(choose(indented(all), pretty), choose(all, history)...), Offsets: [3]int{1, 4, 8}, CompatV155: true, Level: zstd.SpeedBetterCompression,
	})
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return d, nil
}

// entries takes the resources out of a Bundle that package sample wrote, one a line.
func entries(bundle []byte) [][]byte {
	var out [][]byte
	for line := range bytes.Lines(bundle) {
		_, rest, ok := bytes.Cut(line, []byte(`"resource":`))
		if end := bytes.LastIndex(rest, []byte(`,"request":`)); ok && end > 0 {
			out = append(out, rest[:end])
		}
	}
	return out
}

// indented returns a part of all as exports indent the entries of a Bundle: by 4 or 2 spaces.
func indented(all [][]byte) [][]byte {
	var out [][]byte
	for i, r := range all[:len(all)/4] {
		var b bytes.Buffer
		prefix, indent := "            ", "    "
		if i%3 == 2 {
			prefix, indent = "      ", "  "
		}
		if json.Indent(&b, r, prefix, indent) == nil {
			out = append(out, b.Bytes())
		}
	}
	return out
}

// choose fills the history in three rounds, from resources that are half new to those that
// are a fifth new, and puts the first chosen last, where offsets are short.
func choose(all [][]byte, size int) []byte {
	seen := map[string]bool{}
	var chosen [][]byte
	total := 0
	for _, wanted := range []float64{0.5, 0.3, 0.2} {
		for _, r := range all {
			if total+len(r) > size || fresh(r, seen) <= wanted {
				continue
			}
			for i := 0; i+window <= len(r); i++ {
				seen[string(r[i:i+window])] = true
			}
			chosen, total = append(chosen, r), total+len(r)
		}
	}
	var out []byte
	for _, c := range slices.Backward(chosen) {
		out = append(out, c...)
	}
	return out
}

// fresh returns the share of r that was not seen.
func fresh(r []byte, seen map[string]bool) float64 {
	n := 0
	for i := 0; i+window <= len(r); i++ {
		if !seen[string(r[i:i+window])] {
			n++
		}
	}
	return float64(n) / float64(len(r))
}
