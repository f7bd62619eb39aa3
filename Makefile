# make demo   a small catalogue of rendered films, indexed and searched, from nothing
# make test   the whole test suite, from nothing
# make check  style, types and structure
# make kills  every kill of a build at a bad moment, of which the test suite does some
# make bench  the figures in docs/benchmarks.md (DATA=folder with video/ and place/)
# make fuzz   10,000 damaged films (an hour); make soak: 2,000 small films in one process (ten minutes)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
STAMP := $(VENV)/installed
export OMP_NUM_THREADS ?= 2

.PHONY: demo install test test-fast check kills format bench fuzz soak clean

demo: $(STAMP)
	$(BIN)/m2s demo

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[cpu,shots,exports,text,train,dev]"
	touch $@

# Two processes test; threads in each would only wait for one another.
test test-fast: export OMP_NUM_THREADS = 1

test: $(STAMP)
	$(BIN)/python -m pytest -n 2

test-fast: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "not slow"

# mypy does not follow the mapped folders of an editable install: it is given a tree of links.
check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build/typing/m2s_index
	for part in m2s_index/* encoders cli migrations; do ln -sfn $(CURDIR)/$$part build/typing/m2s_index/; done
	MYPYPATH=build/typing $(BIN)/mypy --config-file pyproject.toml -p m2s_index

# Sixty builds killed at random moments, and one killed before every step it takes.
kills: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "slow or long" tests/test_interruptions.py

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python benchmarks/build.py $(DATA)/video
	$(BIN)/python benchmarks/shots.py --data $(DATA)
	$(BIN)/python benchmarks/search.py --scenes 1000000 --kinds exact compressed
	$(BIN)/python benchmarks/batch.py
	$(BIN)/python benchmarks/mining.py
	$(BIN)/python benchmarks/pairs.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/verify.py
	$(BIN)/python benchmarks/place.py $(DATA)/place/scene15_small
	$(BIN)/python benchmarks/descriptor.py $(DATA)/place/scene15_small
	$(BIN)/python benchmarks/pictures.py $(DATA)/place/scene15_small --encoder fisher
	$(BIN)/python benchmarks/encoder_speed.py $(DATA)/video/big_buck_bunny_2008_full_252p.mp4

fuzz: $(STAMP)
	$(BIN)/python benchmarks/fuzz.py $(DATA)/video --mutants 10000 --jobs 2

soak: $(STAMP)
	$(BIN)/python benchmarks/soak.py --films 2000

clean:
	rm -rf build dist m2s-demo *.egg-info
