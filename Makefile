# Everything is set up by the first command that needs it, in .venv, and again only when the requirements change.

PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
REQUIREMENTS := setup.cfg
COVERED := --cov=autograd --cov=nn --cov-branch --cov-fail-under=97
EXAMPLES := digits digits_cnn sentences_gru words_transformer cats_and_dogs two_moons regression_with_uncertainty second_order pinn

.PHONY: demo play examples parallel docs linkcheck test quick mutants soak clients nightly lint lint-js format pictures bench peers clean

demo: .venv/demo.done  ## cats and dogs: how a network learns, on one page; under a minute on one core
	$(ONE_THREAD) $(BIN)/python examples/cats_and_dogs.py --out out

play: .venv/play.done  ## a page in the browser on which a small network learns, step by step
	$(ONE_THREAD) $(BIN)/python -m nn.playground

examples: .venv/demo.done  ## all of them
	@set -e; for example in $(EXAMPLES); do \
	    echo "== $$example"; $(ONE_THREAD) $(BIN)/python -W error::UserWarning examples/$$example.py --out out; done

parallel: .venv/parallel.done .venv/demo.done  ## the digits on two processes
	$(ONE_THREAD) $(BIN)/mpiexec -n 2 $(BIN)/python examples/parallel_digits.py --out out

docs: .venv/docs.done  ## the site, in docs/_build/html: every code cell runs, every internal link is checked, no network
	$(ONE_THREAD) $(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "open docs/_build/html/index.html"

linkcheck: .venv/docs.done  ## links of the site that lead elsewhere; needs a network, so CI does not run it
	$(ONE_THREAD) $(BIN)/python -m sphinx -q -b linkcheck -D nb_execution_mode=off \
	    -D suppress_warnings=myst-nb.lexer -d docs/_build/linkcheck docs docs/_build/links

test: .venv/test.done  ## the whole suite; with COVERAGE=1, failure if it runs less than 97% of the lines and branches
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2 --dist worksteal $(if $(COVERAGE),$(COVERED))

quick: .venv/test.done  ## one case of every op, and nothing slow: under a minute on one core
	$(ONE_THREAD) $(BIN)/python -m pytest -q --quick

mutants: .venv/test.done  ## plant hundreds of errors, one by one, and list those that no test notices (an hour)
	$(ONE_THREAD) PYTHONPATH=.:tests/support $(BIN)/python tests/support/mutants.py

soak: .venv/test.done  ## 100,000 random programs against differences and compiled, 100,000 training steps (half an hour)
	$(ONE_THREAD) PYTHONPATH=.:tests/support $(BIN)/python tests/support/soak.py

clients: .venv/test.done  ## programs written for HIPS's autograd, on this package and on HIPS's (ten minutes, needs an index)
	$(BIN)/python tests/clients.py

nightly: .venv/test.done  ## the suite with ten times as many examples of every property
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2 --dist worksteal --hypothesis-profile=nightly

lint: .venv/lint.done  ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory lint-js; \
	    else echo "no npm on PATH: the pages' scripts were not checked"; fi

lint-js: .venv/js/node_modules/.bin/eslint  ## the scripts of the pages
	$< -c tests/eslint.config.mjs autograd nn docs/_static

.venv/js/node_modules/.bin/eslint: | $(BIN)/python
	@npm install --silent --no-fund --no-audit --prefix .venv/js eslint@9

format: .venv/lint.done  ## mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pictures: .venv/test.done  ## the pictures of the README; needs chromium
	$(ONE_THREAD) $(BIN)/python docs/make_pictures.py

bench: .venv/bench.done  ## everything measured, beside NumPy by hand and the peers that are there (ten minutes; with ONLY=mlp,chain, some)
	$(BIN)/python benchmarks/run.py $(if $(ONLY),--only $(ONLY))

peers: .venv/peers.done .venv-hips/peers.done  ## what `make bench` compares with

clean:
	rm -rf .venv .venv-hips .venv-clients out build docs/_build *.egg-info

.venv/demo.done: EXTRA := examples
.venv/docs.done: EXTRA := docs
.venv/parallel.done: EXTRA := parallel
.venv/play.done: EXTRA := play
.venv/test.done: EXTRA := test
.venv/lint.done: EXTRA := lint
.venv/bench.done: EXTRA := bench
.venv/peers.done: EXTRA := peers
.venv/%.done: $(REQUIREMENTS) | $(BIN)/python
	@echo "setting up .venv with the packages for [$(EXTRA)]: once, about a minute"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRA)]'
	@touch $@

# HIPS's package imports as `autograd`, so it lives by itself, with the same NumPy.
.venv-hips/peers.done: .venv/peers.done
	$(PYTHON) -m venv .venv-hips
	.venv-hips/bin/pip install --quiet --disable-pip-version-check autograd \
	    numpy==$$($(BIN)/python -c 'import numpy; print(numpy.__version__)')
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found on PATH"; exit 1; }
	@echo "making .venv"
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is incomplete; on Debian: apt install python3-venv"; \
	    rm -rf .venv; exit 1; }
