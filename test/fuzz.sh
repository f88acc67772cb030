#!/usr/bin/env bash
# Runs every fuzz target of the tree for a short time, one after another; each package is built once.
# Usage: test/fuzz.sh [time per target]
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}
count=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cache=$(go env GOCACHE)/fuzz/salus # where go test -fuzz keeps what it found interesting
built=
while IFS=: read -r file name; do
  dir=$(dirname "$file")
  if [ "$dir" != "$built" ]; then
    go test -c -vet=off -ldflags='-s -w' -fuzz . -o "$tmp/fuzz.test" "./$dir"
    built=$dir
  fi
  echo "fuzz ./$dir $name for $time"
  if ! (cd "$dir" && "$tmp/fuzz.test" -test.run '^$' -test.fuzz "^${name}\$" -test.fuzztime "$time" -test.fuzzcachedir "$cache/$dir") >"$tmp/out" 2>&1; then
    # Go's fuzzer sometimes reports its own deadline as a failure:
    # a true finding always leaves a failing input.
    if grep -q 'context deadline exceeded' "$tmp/out" && ! grep -q 'Failing input written' "$tmp/out"; then
      echo "the fuzzer ran into its own deadline; no failing input"
    else
      cat "$tmp/out"
      exit 1
    fi
  fi
  count=$((count + 1))
done < <(git ls-files '*_test.go' | grep -v testdata | xargs grep -oE '^func Fuzz[A-Za-z0-9_]+' | sed 's/func //' | sort)
echo "$count fuzz targets passed"
