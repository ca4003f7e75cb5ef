# `make` alone prints this help.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export GOTOOLCHAIN := local
# Builds and tests share one build cache; the race detector alone wants cgo.
export CGO_ENABLED := $(if $(RACE),1,0)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
GO_FILES := $(shell find api cmd deploy internal migrations web -name '*.go' -o -name '*.sql' -o -name '*.yaml' -o -name '*.html' -o -name '*.css' -o -name '*.json' 2>/dev/null) go.mod go.sum

.PHONY: help
help: ## Show what can be done here
	@grep -hE '^[a-z/-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}'
	@echo
	@echo "  FRESH=1 make demo   starts the demo over;  ARGS='--addr 127.0.0.1:9000' make demo   passes flags on"

.PHONY: build
build: bin/rampkeeper bin/ramp ## Build bin/rampkeeper (server) and bin/ramp (client)

bin/rampkeeper bin/ramp: bin/%: $(GO_FILES)
	@echo "building $@"
	@go build -ldflags '$(LDFLAGS)' -o $@ ./cmd/$*

.PHONY: demo
demo: bin/rampkeeper bin/ramp ## Start everything with demo people and data; Ctrl-C stops it
	@tools/setup-postgres.sh
	@exec bin/rampkeeper dev $(if $(FRESH),--fresh) $(ARGS)

.PHONY: walk
walk: bin/rampkeeper ## Watch the main job play itself on real parts, in under a minute
	@tools/setup-postgres.sh
	@exec bin/rampkeeper dev --walk $(ARGS)

.PHONY: test
test: test/setup build ## Install what the tests need and run them all
	@RAMPKEEPER_TEST_PG_BINS=$$(tools/postgres-matrix/install.sh --print) \
		go run ./tools/withpostgres go test -timeout 20m $(if $(RACE),-race) ./...

.PHONY: test/setup
test/setup:
	@tools/setup-postgres.sh
	@tools/setup-tests.sh

.PHONY: test/race
test/race: ## Run the tests with the race detector
	@$(MAKE) test RACE=1

.PHONY: lint
lint: bin/golangci-lint ## Check the code against .golangci.yaml
	@bin/golangci-lint run ./...

bin/golangci-lint: tools/lint/go.mod
	@echo "building golangci-lint (once)"
	@cd tools/lint && go build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: format
format: bin/golangci-lint ## Format the code
	@bin/golangci-lint fmt ./...

.PHONY: generate
generate: ## Make generated code and documents anew
	@go generate ./...

.PHONY: generate/check
generate/check: ## Fail if generated files differ from what is committed
	@tools/check-generated.sh

.PHONY: check
check: test lint generate/check ## All that CI checks

.PHONY: clean
clean: ## Remove what was built and cached here
	@rm -rf bin .cache
