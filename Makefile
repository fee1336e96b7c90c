# `make help` lists what there is. Everything is installed into .venv; no account is needed.

PYTHON ?= python3
WORKSPACE ?= workspace
DATA ?= sample_data/recordings
FORM ?= sample_data/form
DEMO_WORKSPACE ?= workspace_demo
CORPUS ?= sample_data/voices
CALLS ?=
LISTEN_TO ?= customer
NETWORKS ?= 0
RESULTS ?= benchmark
DEEP ?=
HOST ?= 127.0.0.1
PORT ?=
ALERT_FROM ?=
REQUESTS ?=

NETWORK_READY = $(if $(filter-out 0,$(NETWORKS)),.venv/.network)
# killed runs, zips and sound files are the same with any version of a package, nobody runs
# benchmarks, dashboard or API in Colab, and the tests of notebooks 3, 7, 8 and 10 to 12 go through
# the rest
ANY_VERSION = test_archives.py test_audio.py test_google_server.py test_ingest.py test_resume.py \
	test_scheduled_runs.py test_benchmark.py \
	test_call_benchmark.py test_corpus_benchmark.py test_feedback_benchmark.py test_fold_models.py \
	test_speed.py test_ablation.py test_augmented_training.py test_real_voices.py \
	test_turn_taking.py test_clusters.py test_zoo_comparison.py test_exploration_plots.py \
	test_exploration_sound_plots.py test_story.py test_storybook.py test_evidence.py test_monitoring.py \
	test_api.py test_api_fuzz.py test_uploads.py test_workers.py test_dashboard.py \
	test_dashboard_browser.py test_dashboard_tables.py test_dashboard_versions.py test_live_socket.py \
	test_live_page.py test_live_messages.py test_live_benchmark.py
RUN = .venv/bin/python -m helpers.runner
.DEFAULT_GOAL := help
.PHONY: help demo train loop review story emotions explore models clusters verify benchmark \
	benchmark-loop benchmark-conversation benchmark-zoo benchmark-augmentation app api apps benchmark-api \
	benchmark-live screenshots speakers network zoo test test-speakers test-colab lint format clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@echo
	@echo "Variables: DATA=<zips and folders> WORKSPACE=<results> FORM=<responses.csv and uploads>"
	@echo "           CORPUS=<acted emotions> NETWORKS=<0, 1 or 2> CALLS=<calls> RESULTS=<tables>"
	@echo "           LISTEN_TO=<customer or both> DEEP=<1: networks, too> HOST=<address> PORT=<port>"
	@echo "           ALERT_FROM=<probability from which on a live call alerts>"

demo: .venv/.demo ## Run all six notebooks on the sample calls and print a summary
	$(RUN) demo --workspace "$(DEMO_WORKSPACE)"

train: .venv/.demo ## Notebooks 01-04: from the zips in DATA to a model in WORKSPACE
	$(RUN) train --data "$(DATA)" --listen-to "$(LISTEN_TO)" --workspace "$(WORKSPACE)"

loop: .venv/.demo ## Notebooks 05-06: ingest FORM, judge its calls, learn from errors
	@$(RUN) loop --form "$(FORM)" --workspace "$(WORKSPACE)" || [ $$? -eq 1 ]

review: .venv/.demo ## Notebook 07: review list, versions, drift, what to label next
	$(RUN) review --workspace "$(WORKSPACE)"

story: .venv/.demo ## Notebook 08: who spoke and when the mood turned, CALLS or all of WORKSPACE
	$(RUN) story --calls "$(CALLS)" --workspace "$(WORKSPACE)"

emotions: .venv/.demo $(NETWORK_READY) ## Notebook 09: a model of emotions from CORPUS into WORKSPACE
	$(RUN) emotions --corpus "$(CORPUS)" --networks "$(NETWORKS)" --workspace "$(WORKSPACE)"

explore: .venv/.demo ## Notebook 10: what is in CORPUS
	$(RUN) explore --corpus "$(CORPUS)" --workspace "$(WORKSPACE)"

models: .venv/.demo ## Notebook 11: models and features compared on CORPUS, the best kept in WORKSPACE
	$(RUN) models --corpus "$(CORPUS)" --workspace "$(WORKSPACE)"

clusters: .venv/.demo ## Notebook 12: calls without a status, grouped by sound, for you to name
	$(RUN) clusters --workspace "$(WORKSPACE)"

verify: .venv/.demo ## Load every model stored in WORKSPACE and ask it about a fresh clip
	.venv/bin/python -m helpers.zoo.verify "$(WORKSPACE)"

app: .venv/.apps ## The dashboard on WORKSPACE, in the browser, on HOST and PORT
	.venv/bin/python -m apps.dashboard "$(WORKSPACE)" --host "$(HOST)" $(if $(PORT),--port "$(PORT)")

api: .venv/.apps ## The REST API, live calls and their page for WORKSPACE, on HOST and PORT
	.venv/bin/python -m apps.api "$(WORKSPACE)" --host "$(HOST)" $(if $(PORT),--port "$(PORT)") \
		$(if $(ALERT_FROM),--alert-from "$(ALERT_FROM)")

benchmark: .venv/.demo $(NETWORK_READY) ## Tables of scores and speed on CORPUS (and CALLS) into RESULTS
	.venv/bin/python -m helpers.benchmark "$(CORPUS)" --networks "$(NETWORKS)" \
		--results "$(RESULTS)" $(if $(CALLS),--calls "$(CALLS)")

benchmark-loop: .venv/.demo ## Tables of what the feedback loop is worth on CALLS, with CORPUS, into RESULTS
	@test -n "$(CALLS)" || { echo "CALLS is not set: CALLS=<folder with zips of calls>"; exit 2; }
	.venv/bin/python -m helpers.feedback.benchmark "$(CORPUS)" "$(CALLS)" --results "$(RESULTS)"

benchmark-conversation: .venv/.dev .venv/.speakers ## Tables of who spoke when, and of whom to listen to
	@test -n "$(CALLS)" || { echo "CALLS is not set: CALLS=<folder with zips of calls>"; exit 2; }
	.venv/bin/python -m helpers.conversation.benchmark "$(CORPUS)" "$(CALLS)" --results "$(RESULTS)"

benchmark-zoo: .venv/.zoo ## Table of every model on every feature set on CORPUS into RESULTS; DEEP=1 for networks
	.venv/bin/python -m helpers.zoo.benchmark "$(CORPUS)" --results "$(RESULTS)" $(if $(DEEP),--deep)

benchmark-augmentation: .venv/.zoo ## Table of what each augmentation buys on CORPUS into RESULTS
	.venv/bin/python -m helpers.zoo.ablation "$(CORPUS)" --results "$(RESULTS)"

benchmark-api: .venv/.apps-tests ## Requests a second, latency and memory of the API on WORKSPACE; half an hour
	.venv/bin/python -m apps.api.benchmark "$(WORKSPACE)" $(if $(REQUESTS),--requests "$(REQUESTS)")

benchmark-live: .venv/.apps-tests ## Tables of how soon a live call alerts, and of streams at once on WORKSPACE
	@test -n "$(CALLS)" || { echo "CALLS is not set: CALLS=<folder with zips of calls>"; exit 2; }
	.venv/bin/python -m helpers.conversation.live_benchmark "$(CORPUS)" "$(CALLS)" --results "$(RESULTS)"
	.venv/bin/python -m apps.live.benchmark "$(WORKSPACE)"

screenshots: export SCREENSHOTS = apps/images
screenshots: .venv/.dev .venv/.apps-tests ## Take the README's pictures of the pages again
	.venv/bin/python -m pytest tests/test_dashboard_browser.py tests/test_live_page.py

apps: .venv/.apps ## Install what dashboard and API need

speakers: .venv/.speakers ## Install the network that tells two voices on one channel apart

network: .venv/.network ## Install PyTorch, for NETWORKS above 0 and for their tests

zoo: .venv/.zoo ## Install the networks, XGBoost, embeddings and the rest of the model zoo

test: .venv/.dev .venv/.zoo .venv/.apps-tests lint ## Run every check and every test, all notebooks included
	.venv/bin/python -m pytest -n 2 --dist loadfile

test-speakers: .venv/.dev .venv/.speakers ## Run the tests of who speaks with the network installed
	.venv/bin/python -m pytest -n 2 --dist loadfile -k "not cepstra" tests/test_speaker_embedding.py \
		tests/test_diarization.py tests/test_turn_taking.py

test-colab: .venv-colab/.dev ## Run the tests with the package versions of Google Colab
	.venv-colab/bin/python -m pytest -n 2 --dist loadfile $(addprefix --ignore=tests/,$(ANY_VERSION))

lint: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/nbstripout --verify notebooks/*.ipynb

format: .venv/.dev ## Format code and notebooks and strip notebook outputs
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	.venv/bin/nbstripout notebooks/*.ipynb

clean: ## Remove the environments and the demo's workspace
	rm -rf .venv .venv-colab "$(DEMO_WORKSPACE)"

.venv/.demo: requirements.txt constraints.txt pyproject.toml
	$(call make-venv,.venv)
	.venv/bin/python -m pip install --quiet -r requirements.txt -c constraints.txt
	.venv/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

.venv/.dev: .venv/.demo requirements-dev.txt
	.venv/bin/python -m pip install --quiet -r requirements-dev.txt -c constraints.txt
	@touch $@

.venv/.network: .venv/.demo requirements-network.txt
	.venv/bin/python -m pip install --quiet -r requirements-network.txt -c constraints.txt
	@touch $@

.venv/.zoo: .venv/.demo requirements-zoo.txt
	.venv/bin/python -m pip install --quiet -r requirements-zoo.txt -c constraints.txt
	@touch $@

.venv/.apps: .venv/.demo requirements-apps.txt
	.venv/bin/python -m pip install --quiet -r requirements-apps.txt -c constraints.txt
	@touch $@

.venv/.apps-tests: .venv/.dev .venv/.apps requirements-apps-tests.txt
	.venv/bin/python -m pip install --quiet -r requirements-apps-tests.txt -c constraints.txt
	@touch $@

.venv/.speakers: .venv/.demo requirements-speakers.txt
	.venv/bin/python -m pip install --quiet -r requirements-speakers.txt -c constraints.txt
	@touch $@

.venv-colab/.dev: requirements.txt requirements-dev.txt constraints-colab.txt pyproject.toml
	$(call make-venv,.venv-colab)
	.venv-colab/bin/python -m pip install --quiet -r requirements-dev.txt -c constraints-colab.txt
	.venv-colab/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

define make-venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@echo "Installing packages into $(1) (once, a few minutes) ..."
endef
