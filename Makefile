# The whole project with only Python and make: what else is needed goes to .local/ and .venv/ of this folder.
# `make` alone lists the targets.

PYTHON ?= python3
UV_VERSION := 0.13.9
# A uv on the PATH is used if it runs (a pyenv shim may be there and not run); otherwise one is installed into .local/.
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo .local/uv/bin/uv)
# uv finds a Python 3.13 on the PATH, and downloads one otherwise; a pyenv that has one saves the download.
PYENV := $(or $(PYENV_ROOT),$(HOME)/.pyenv)
RUN := .venv/bin/python
SYNCED := .venv/.synced
EXPORT = $(UV) export --quiet --locked --package stillgood --no-emit-workspace --no-header --no-annotate --prune boto3

# Which interpreter and which cloud a run uses must not depend on the shell it was started from.
unexport PYENV_VERSION VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE AWS_PROFILE AWS_ENDPOINT_URL MLFLOW_TRACKING_URI
export UV_PROJECT_ENVIRONMENT := .venv
# Trust what this machine trusts: a company's proxy may sign with its own certificate.
export UV_SYSTEM_CERTS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo up down shell test bench bench-decisions bench-models bench-point bench-acted bench-load bench-safety bench-simulation simulate bench-guard audit-dependencies sam-local image audit-template lint format lock mlflow docs pictures clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SYNCED)  ## install everything into .venv/

demo: $(SYNCED)  ## tell the whole story on an embedded cloud, in under three minutes (CHAPTER=family: one chapter)
	@$(RUN) -m local demo $(if $(CHAPTER),--chapter $(CHAPTER))

# make up DATA=customers.csv TARGET=churn POSITIVE=Yes [ID=customer_id] [TIME=signed_at] | DATA=... CONTRACT=contract.json | EMPTY=1
UP = $(if $(DATA),--data "$(DATA)") $(if $(CONTRACT),--contract "$(CONTRACT)") $(if $(TARGET),--target "$(TARGET)") \
  $(if $(POSITIVE),--positive "$(POSITIVE)") $(if $(ID),--id "$(ID)") $(if $(TIME),--time "$(TIME)") $(if $(EMPTY),--empty)

up: $(SYNCED)  ## keep the embedded cloud running (DATA=rows.csv TARGET=column POSITIVE=value: with your own data; EMPTY=1: without)
	@$(RUN) -m local up $(UP)

down: $(SYNCED)  ## stop it; what is stored stays
	@$(RUN) -m local down

shell: $(SYNCED)  ## open a shell in which stillgood, aws and the variables find the embedded cloud
	@$(RUN) -m local shell

mlflow: $(SYNCED)  ## open the training runs in MLflow's UI on 127.0.0.1
	@$(RUN) -m local mlflow

test: $(SYNCED)  ## run all tests
	$(RUN) -m pytest -n auto --dist loadfile $(PYTEST)

# UV's folder is on the PATH for those who build packages and environments.
bench: $(SYNCED) | $(UV)  ## measure everything against its alternatives (QUICK=1: less of it; DEMO=1: demo and test, too)
	@PATH="$(abspath $(dir $(UV))):$$PATH" $(RUN) -m benchmarks.speed $(BENCH)

bench-decisions: $(SYNCED)  ## how often each automatic decision errs, and years replayed in many worlds (QUICK=1: few seeds; SEEDS=6, MINUTES=20)
	@$(RUN) -m benchmarks.decisions

bench-models: $(SYNCED)  ## both model families and auto on every table there is, at four sizes (QUICK=1: one draw; TABLES=telco,elec: only these; POINT_DATA: a folder with elec and noaa)
	@$(RUN) -m benchmarks.models

bench-point: $(SYNCED)  ## is recall kept while the population moves, with labels late (POINT_DATA: a folder with elec and noaa)
	@$(RUN) -m benchmarks.operating_point

bench-acted: $(SYNCED)  ## are figures true, and is the effect known, where predictions are acted on
	@$(RUN) -m benchmarks.acted

bench-strangers: $(SYNCED)  ## hostile files: read or refused, in how much memory; strangers among callers: how far the champion falls (ARGS="files --count 10000" or "worlds --seeds 20", MINUTES=90)
	@$(RUN) -m benchmarks.strangers $(or $(ARGS),files)

bench-load: $(SYNCED)  ## count answers, captures and judged predictions under load, a promotion, restarts and an outage
	@$(RUN) -m benchmarks.load

bench-safety: $(SYNCED)  ## count the faults, races, replays and forged inputs that were tried, and survived
	@$(RUN) -m benchmarks.safety

bench-simulation: $(SYNCED)  ## live many seeds in virtual time and find the planted bugs (ARGS="--seeds 0:50 --days 60 --minutes 8")
	@$(RUN) -m benchmarks.simulation $(ARGS)

# make simulate SEED=7 DAYS=60 SHRINK=1
simulate: $(SYNCED)  ## live one seed in which everything goes wrong, and say what did not hold (SHRINK=1: make it small)
	@$(RUN) -m stillgood.simulation.year --seed $(or $(SEED),1) --days $(or $(DAYS),60) $(if $(SHRINK),--shrink)

bench-guard: $(SYNCED) | $(UV)
	@PATH="$(abspath $(dir $(UV))):$$PATH" $(RUN) -m benchmarks.speed.guard

sam-local: $(SYNCED)  ## build the packages and send every event through the real SAM CLI (needs Docker and sam)
	@$(RUN) -m local.sam

IMAGE_BASE ?= python:3.13-slim
IMAGE_DIGEST ?=
IMAGE_ARCH ?= $(subst arm64,aarch64,$(shell uname -m))

image: | $(UV)  ## build the container image of train and batch (needs Docker and IMAGE_DIGEST=sha256:..., the digest of its base; IMAGE_BASE names another Python 3.13)
	@case "$(IMAGE_DIGEST)" in sha256:*) ;; *) \
	  echo "make image needs IMAGE_DIGEST=sha256:..., so that nobody can exchange its base, $(IMAGE_BASE), under its name:" >&2; \
	  echo "  the registry's digest: docker buildx imagetools inspect $(IMAGE_BASE) --format '{{.Manifest.Digest}}'" >&2; \
	  echo "  of an image that is only here: docker image inspect $(IMAGE_BASE) --format '{{.Id}}'" >&2; \
	  exit 2 ;; esac
	@rm -rf .local/image && mkdir -p .local/image
	@$(UV) pip install --quiet --link-mode=copy --target .local/image/site --python-version 3.13 \
	  --python-platform $(IMAGE_ARCH)-manylinux_2_34 --only-binary :all: --require-hashes -r container/requirements.txt
	@base="$(IMAGE_BASE)@$(IMAGE_DIGEST)"; here="$$(docker image inspect --format '{{.Id}}' "$(IMAGE_BASE)" 2>/dev/null)"; \
	  [ "$$here" != "$(IMAGE_DIGEST)" ] || base="$(IMAGE_BASE)"; \
	  docker build --quiet --build-arg BASE="$$base" --tag stillgood --file container/Dockerfile .

audit-template: | $(UV)  ## look template.yaml over with checkov; .checkov.yaml has the reasons for what is left
	@$(UV) tool run --quiet --python 3.13 --from checkov==3.2.500 checkov --config-file .checkov.yaml

lint: $(SYNCED)  ## style, types, layering, template
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy --strict local
	.venv/bin/mypy --strict packaging
	.venv/bin/mypy --strict benchmarks --exclude benchmarks/speed/contestants  # programs of other tools' environments
	.venv/bin/mypy --strict tests/conftest.py tests/faults/story.py tests/faults/worker.py
	@for helper in tests/*/conftest.py; do .venv/bin/mypy --strict $$helper || exit; done
	.venv/bin/mypy --strict container
	@for step in predict batch monitor train promote; do .venv/bin/mypy --strict functions/$$step || exit; done
	.venv/bin/lint-imports
	.venv/bin/cfn-lint template.yaml

# Each package is audited by its own lock: what is reported is what runs. --strict: a package that PyPI's advisory service cannot tell of is a failure.
audit-dependencies: $(SYNCED) | $(UV)  ## look every locked dependency up among the known vulnerabilities (needs the network)
	@for locked in functions/*/requirements.txt container/requirements.txt; do echo "$$locked"; $(UV) tool run --quiet pip-audit@2.10.1 --requirement $$locked --disable-pip --strict --progress-spinner off || failed=1; done; exit $${failed:-0}

format: $(SYNCED)  ## let ruff lay out the code
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

pictures: $(SYNCED)  ## take README's pictures of the demo's pages (needs chromium)
	@$(RUN) -m local.pictures

docs: $(SYNCED)  ## write the generated parts of docs/
	@$(RUN) docs/bucket_map.py
	@$(RUN) docs/contract_reference.py
	@$(RUN) -m docs.rights
	@$(RUN) -m docs.retention
	@$(RUN) -m docs.licences

lock: | $(UV)  ## resolve uv.lock, and write each function's requirements from it
	$(UV) lock
	for step in predict batch monitor train promote; do $(EXPORT) --extra $$step --output-file functions/$$step/requirements.txt || exit; done
	$(filter-out --prune boto3,$(EXPORT)) --extra train --extra batch --output-file container/requirements.txt

clean: down  ## stop the cloud and delete everything that was generated, stored state included
	rm -rf .local .venv .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(SYNCED): uv.lock pyproject.toml layers/stillgood/pyproject.toml | $(UV)
	@echo "installing the locked environment into .venv/ ..."
	@python=$$($(UV) python find --no-python-downloads 3.13 2>/dev/null || ls $(PYENV)/versions/3.13.*/bin/python3.13 2>/dev/null | tail -n 1); \
	  $(UV) sync --locked --quiet $${python:+--python "$$python"}
	@touch $@

.local/uv/bin/uv:
	@echo "installing uv $(UV_VERSION) into .local/uv/ ..."
	@$(PYTHON) -m venv .local/uv
	@.local/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
