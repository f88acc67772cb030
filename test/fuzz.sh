#!/usr/bin/env bash
# Runs every fuzz target of the tree for a short time, one after another.
# Usage: test/fuzz.sh [time per target]
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}
count=0
while IFS=: read -r file name; do
  dir=./$(dirname "$file")
  echo "fuzz $dir $name for $time"
  go test "$dir" -run '^$' -fuzz "^${name}\$" -fuzztime "$time"
  count=$((count + 1))
done < <(git ls-files '*_test.go' | grep -v testdata | xargs grep -oE '^func Fuzz[A-Za-z0-9_]+' | sed 's/func //' | sort)
echo "$count fuzz targets passed"
