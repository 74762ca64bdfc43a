# make install: what the product needs, into .venv.   make demo: the page.   make test: the tests, JOBS files at a time.
# make test-crash: the long tests of crashes, damage and races, about 20 minutes.   make lint: ruff.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin

.PHONY: install demo test test-crash lint clean
install: .venv/installed

demo: .venv/installed
	$(BIN)/python app.py --open

test: .venv/installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-crash: .venv/installed-dev
	$(BIN)/python -m pytest -m crash

lint: .venv/installed-dev
	$(BIN)/ruff check

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "rime2flower needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "Python's venv module is missing; on Debian and Ubuntu install it with: apt-get install python3-venv"; exit 1; }

.venv/installed: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: requirements.txt requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ .venv/installed

clean:
	rm -rf .venv test-output
