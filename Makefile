# One short target for each thing that a person does; `make` alone lists them.

.DEFAULT_GOAL := help
# Not the default: make 3.81, which macOS has, would look up programs without the PATH below.
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Without bytecode TensorFlow takes three times as long to import; some environments turn it off.
unexport PYTHONDONTWRITEBYTECODE

API_PORT ?= 8000
STORE_PORT ?= 9000
# Of the functions but the retraining: x86_64 or arm64.
ARCHITECTURE ?= x86_64
EVENT ?= events/http_v2_predict_json.json

# SAM empties the folder before it builds, and writes the template last. The image's id is written after everything.
BUILT := .aws-sam/build/template.yaml
BUILT_ALL := .aws-sam/build/image-id
SOURCES := template.yaml samconfig.toml functions layers
IMAGE_SOURCES := .dockerignore requirements/train.txt training
IMAGE_ID := docker image inspect --format '{{.Id}}' retrainfunction:retrain
SAM_BUILD = ARCHITECTURE=$(ARCHITECTURE) sam build --parameter-overrides Architecture=$(ARCHITECTURE)
CHECKSUMS = find $(1) -name __pycache__ -prune -o -type f -exec cksum {} + | sort

# Operators' targets use the store that `make serve` runs, or with STACK=… the bucket of a deployed stack.
LOCAL_STORE := AWS_ENDPOINT_URL_S3=http://127.0.0.1:$(STORE_PORT) AWS_DEFAULT_REGION=us-east-1 \
	AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local DIGITS_BUCKET=lambda-digits NO_PROXY=127.0.0.1
ON_STORE = $(if $(STACK),DIGITS_BUCKET="$$(python -m local stack-output '$(STACK)' BucketName)",env $(LOCAL_STORE))

.PHONY: help
help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup:  ## create .venv with uv, CPython 3.13 and the locked packages
	@local/setup

.PHONY: demo
demo: setup  ## train on MNIST, publish, serve, send a digit and a number; serves until Ctrl-C
	@python -m local demo --api-port $(API_PORT) --store-port $(STORE_PORT)

.PHONY: smoke
smoke: setup  ## run the demo once and exit; the exit status is 0 if all went well
	@python -m local smoke

.PHONY: serve
serve: setup  ## serve the last trained model: [HTTPS=1]
	@python -m local serve --api-port $(API_PORT) --store-port $(STORE_PORT) $(if $(HTTPS),--https)

.PHONY: api-test
api-test: setup  ## post a sample digit and a sample number: URL=… TOKEN=… [IMAGE=file or folder] [INSECURE=1 | CA=file]
	@python -m local api-test --url "$(URL)" --token "$(TOKEN)" $(if $(IMAGE),--image "$(IMAGE)") \
		$(if $(INSECURE),--insecure) $(if $(CA),--ca "$(CA)")

.PHONY: batch
batch: setup  ## read a folder or an archive into a table: INPUT=… [OUT=…] [NUMBERS=1 | LENGTH=…] [URL=… TOKEN=… | STACK=…]
	@python -m local batch "$(INPUT)" $(if $(OUT),--out "$(OUT)") $(if $(NUMBERS),--numbers) \
		$(if $(LENGTH),--length "$(LENGTH)") $(if $(URL),--url "$(URL)" --token "$(TOKEN)") $(if $(STACK),--stack "$(STACK)") \
		$(if $(INSECURE),--insecure) $(if $(CA),--ca "$(CA)")

.PHONY: token
token: setup  ## issue an access token: NAME=… [STACK=…]
	@$(ON_STORE) python -m digits token "$(NAME)"

.PHONY: revoke
revoke: setup  ## revoke an access token: NAME=… [STACK=…]
	@$(ON_STORE) python -m digits revoke "$(NAME)"

.PHONY: models
models: setup  ## list the published models: [STACK=…]
	@$(ON_STORE) python -m training models

.PHONY: promote
promote: setup  ## make a published model live if it tests no worse than the live one: VERSION=… [FORCE="reason"] [STACK=…]
	@$(ON_STORE) python -m training promote "$(VERSION)" $(if $(FORCE),--force "$(FORCE)")

.PHONY: rollback
rollback: setup  ## go back to the previous live model, or to VERSION=…: [REASON="…"] [STACK=…]
	@$(ON_STORE) python -m training rollback $(VERSION) $(if $(REASON),--reason "$(REASON)")

.PHONY: verify
verify: setup  ## check the files of a published model: VERSION=… [STACK=…]
	@$(ON_STORE) python -m training verify "$(VERSION)"

.PHONY: prune
prune: setup  ## delete old models: KEEP=… [DRY_RUN=1] [STACK=…]
	@$(ON_STORE) python -m training prune --keep "$(KEEP)" $(if $(DRY_RUN),--dry-run)

.PHONY: test
test: setup build  ## run all tests that need neither Docker nor AWS, nor browsers besides Chromium
	@pytest -n 2 --dist loadfile

.PHONY: test-docker
test-docker: setup build-all  ## run the tests that need a Docker engine
	@pytest -m docker

.PHONY: test-browsers
test-browsers: setup  ## run the page's tests in Firefox and WebKit, where they are installed
	@pytest -m browsers

.PHONY: reliability
reliability: setup build  ## try faults, freezes, kills, fuzz, load and attacks on the last trained model; about 15 minutes
	@python -m tests.reliability

.PHONY: bench
bench: setup build  ## measure serving: cold start, latency, throughput, size; three to six minutes on an idle machine
	@python -m benchmarks.serving

.PHONY: bench-page
bench-page: setup  ## measure the page, from lifting the pen to the answer; needs Chromium
	@python -m benchmarks.page

.PHONY: bench-robustness
bench-robustness: setup  ## measure how well the last trained model reads distorted digits
	@python -m benchmarks.robustness

.PHONY: bench-refusals
bench-refusals: setup  ## measure what the last trained model makes of blank sheets, several digits and letters
	@python -m benchmarks.refusals

.PHONY: bench-numbers
bench-numbers: setup  ## measure how well the last trained model reads numbers, and in what time
	@python -m benchmarks.numbers

.PHONY: bench-mnist-c
bench-mnist-c: setup  ## measure how well the last trained model reads the fifteen corruptions of MNIST-C
	@python -m benchmarks.mnist_c

.PHONY: bench-batch
bench-batch: setup build  ## measure how fast, and in what memory, the batch function reads archives of MNIST
	@python -m benchmarks.batch

.PHONY: bench-training
bench-training: setup  ## measure how fast each recipe is and how good its models are; about an hour
	@python -m benchmarks.training

.PHONY: check
check: setup  ## lint, format, types, javascript, template, security, shell, spelling, links, workflows
	@.ci/check

.PHONY: format
format: setup  ## format the code, and fix what the linter can fix
	@ruff check --fix .
	@ruff format .

COMPILE := uv pip compile --quiet --universal --generate-hashes --python-version 3.13 \
	--no-emit-index-url --custom-compile-command 'make lock'

.PHONY: lock
lock: setup  ## rewrite the hashed locks from pyproject.toml
	@$(COMPILE) pyproject.toml --group dev -o requirements/dev.txt
	@$(COMPILE) pyproject.toml --group train -c requirements/dev.txt -o requirements/train.txt
	@$(COMPILE) pyproject.toml -c requirements/dev.txt -o layers/runtime/requirements.txt
	@$(COMPILE) --group batch -c requirements/dev.txt -o functions/batch/requirements.txt
	@$(COMPILE) --group pre_traffic -c requirements/dev.txt -o functions/pre_traffic/requirements.txt
	@$(COMPILE) --group checkov -o requirements/checkov.txt
	@echo uv | $(COMPILE) - -c requirements/dev.txt -o requirements/uv.txt

.PHONY: build
build: setup $(BUILT)  ## build everything for Lambda except the retrain function's image, if anything changed

.PHONY: build-all
build-all: setup $(BUILT_ALL)  ## build everything including the retrain function's image, if anything changed; needs Docker

$(BUILT): .aws-sam/sources | setup
	@$(SAM_BUILD) --exclude RetrainFunction

$(BUILT_ALL): .aws-sam/sources .aws-sam/image-sources | setup
	@$(SAM_BUILD)
	@$(IMAGE_ID) > $@

# Rewritten only if the contents changed since last time; otherwise nothing that depends on it is rebuilt.
.aws-sam/sources: _always
	@mkdir -p $(@D)
	@{ echo $(ARCHITECTURE); $(call CHECKSUMS,$(SOURCES)); } > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# The engine may have lost the image since, or hold another checkout's under the same name.
.aws-sam/image-sources: _always
	@mkdir -p $(@D)
	@$(IMAGE_ID) 2>/dev/null | cmp -s - $(BUILT_ALL) || rm -f $@
	@$(call CHECKSUMS,$(IMAGE_SOURCES)) | cmp -s - $@ || $(call CHECKSUMS,$(IMAGE_SOURCES)) > $@

_always:

.DELETE_ON_ERROR:

.PHONY: local-invoke
local-invoke: setup build-all  ## invoke the function of an event in Lambda's container; needs Docker: EVENT=events/….json
	@python -m local invoke --event "$(EVENT)"

.PHONY: start-api
start-api: setup build  ## serve the built function in Lambda's container (sam local start-api); needs Docker
	@python -m local start-api --api-port $(API_PORT)

.PHONY: openapi
openapi: setup  ## rewrite docs/openapi.json
	@python -m local openapi > docs/openapi.json

.PHONY: doctor
doctor: setup build  ## examine what was built before it is deployed, and with STACK=… the account: [ARCHITECTURE=arm64]
	@python -m local doctor --architecture $(ARCHITECTURE) $(if $(STACK),--stack "$(STACK)")

# What a deployment is not told it takes from the stack that is there.
CHOSEN := $(if $(filter-out file,$(origin ARCHITECTURE)),$(ARCHITECTURE))

.PHONY: deploy
deploy: export PARAMETERS := $(PARAMETERS)
deploy: setup  ## build, examine, deploy and test: [STAGE=…] [STACK=…] [RETRAINING=off] [ARCHITECTURE=arm64] [PARAMETERS=…]
	@python -m local deploy --stage "$(or $(STAGE),default)" $(if $(STACK),--stack "$(STACK)") \
		$(if $(RETRAINING),--retraining $(RETRAINING)) $(if $(CHOSEN),--architecture $(CHOSEN))

.PHONY: accept
accept: setup  ## run the acceptance tests against a deployed stack: STACK=…
	@python -m local accept "$(STACK)"

.PHONY: destroy
destroy: setup  ## delete a deployed stack, but not its bucket: STACK=…
	@python -m local destroy "$(STACK)"

.PHONY: clean
clean:  ## delete .venv, builds, models and caches
	@rm -rf .venv .aws-sam artifacts .mypy_cache .pytest_cache .ruff_cache
