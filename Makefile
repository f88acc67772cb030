# Everything this project does, one target each. `make help` lists them.

GO      ?= go
BIN     := bin/salus
NETWORK ?= .salus
# Tools are pinned here and run through the module cache; nothing is installed globally.
GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4
FUZZTIME    ?= 10s
FROM    ?= 1
SEEDS   ?= 3000
BUDGET  ?= 30m
WORKERS ?= 2
# What property tests draw, hostile requests and soak are made from; the same seed draws the same.
SEED    ?= 1
CHECKS  ?= 2000
# Linking a test takes half as long without tables for a debugger; vet runs by itself.
TESTFLAGS := -vet=off -ldflags='-s -w'
export CGO_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: faults help portal run demo build test race lint vet fuzz golden model sim bench check clean

help: ## Show this list.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

run: portal build ## Start four organisations with sample patients; Ctrl-C stops them.
	$(BIN) devnet up --dir $(NETWORK)

demo: build ## Tell the life of a record on a fresh or running network.
	$(BIN) devnet demo --dir $(NETWORK)

portal: ## Build the web portal that the binary embeds; needs Node 20.
	@if command -v npm >/dev/null; then cd portal && { [ -d node_modules ] || npm ci; } && npm run --silent build; else echo "portal: no npm here: the binary will say that the portal is not built"; fi

build: ## Build the one binary into bin/.
	$(GO) build -trimpath -o $(BIN) ./cmd/salus

# The two that mostly wait come first, and count as one, so that the others run beside them.
test: ## Run every test but those of the portal in a browser.
	RAPID_SEED=$(SEED) $(GO) test $(TESTFLAGS) -p 3 -timeout 40m -skip InChromium ./test/e2e ./test/fault ./...

.PHONY: browser
browser: ## Drive the portal of running networks in Chromium.
	$(GO) test $(TESTFLAGS) -timeout 40m -run InChromium ./test/e2e

race: ## Run the short tests of the concurrent rooms under the race detector.
	RAPID_SEED=$(SEED) CGO_ENABLED=1 $(GO) test $(TESTFLAGS) -race -short -timeout 20m ./ledger/... ./custody/... ./vault/... ./record/... ./client/... ./internal/hedge ./internal/peer/... ./gateway/... ./store/... ./hl7/...

.PHONY: explore
explore: ## Draw anew: CHECKS times for each property of the Go code, five times for the portal's; a failure names its seed.
	RAPID_CHECKS=$(CHECKS) $(GO) test -count=1 -timeout 0 $$(grep -rl --include='*_test.go' pgregory.net/rapid . | xargs -n1 dirname | sort -u)
	cd portal && for n in 1 2 3 4 5; do DRAW_SEED= npx vitest run || exit 1; done

vet: ## Run go vet and gofmt.
	$(GO) vet ./...
	@test -z "$$(gofmt -l $$(git ls-files '*.go' | grep -v testdata))" || { gofmt -l $$(git ls-files '*.go' | grep -v testdata); echo "run gofmt -w on these"; exit 1; }
	$(GO) vet -tags rehearsal ./node ./cmd/salus ./ledger/module/rehearsal

lint: vet ## Run vet and the linters of .golangci.yml.
	$(GO) run $(GOLANGCI) run ./...

fuzz: ## Fuzz every decoder for FUZZTIME each.
	./test/fuzz.sh $(FUZZTIME)

golden: ## Write golden files and generated specs anew; read the diff.
	$(GO) test ./internal/archtest ./config ./ledger/... -update

model: ## Check the release protocol exhaustively with spin.
	./model/run.sh

sim: ## Simulate SEEDS networks from seed FROM on, until BUDGET is over; docs/simulation.md.
	$(GO) test ./test/sim -run 'TestSeeds$$' -count=1 -timeout 0 -v -sim.from=$(FROM) -sim.seeds=$(SEEDS) -sim.budget=$(BUDGET) -sim.workers=$(WORKERS)

faults: ## Kill, pause, damage, fill and cut a network of four, ROUNDS rounds each; docs/running-a-node.md.
	$(GO) test ./test/fault -count=1 -timeout 60m -v -fault.rounds=$(or $(ROUNDS),40)

bench: ## Measure; writes docs/performance.md and test/perf/results.json.
	$(GO) run ./test/perf

# Soak: how long the load lasts, and an empty folder for the network and the report.
DURATION ?= 30m
SOAK     ?= .soak
.PHONY: soak
soak: ## Load four organisations and kill them for DURATION; fail on growth that the records do not explain.
	$(GO) run ./test/soak -for $(DURATION) -seed $(SEED) -dir $(SOAK)

.PHONY: hostile
hostile: ## Send a running node REQUESTS hostile requests made from SEED.
	$(GO) test ./test/hostile -count=1 -timeout 30m -v -hostile.requests=$(or $(REQUESTS),10000) -hostile.seed=$(SEED)

.PHONY: adversary mutants
adversary: ## Play every attack of the register; docs/adversary.md.
	$(GO) run ./test/adversary/mutate -sound

mutants: ## Take each defence out of a copy and demand that its attack is noticed; writes docs/adversary.md.
	nice -n 10 $(GO) run ./test/adversary/mutate -doc docs/adversary.md

check: lint test browser ## What a change must pass.

# Where the browser tests leave a picture of every view they see.
SHOTS ?= .shots
.PHONY: shots
shots: portal ## Take screenshots of the portal, desktop and phone, by its browser tests.
	mkdir -p $(SHOTS)
	SALUS_SHOTS=$(abspath $(SHOTS)) $(GO) test ./test/e2e -run InChromium -count=1

clean: ## Remove the binary and the sample network.
	rm -rf bin $(NETWORK)
