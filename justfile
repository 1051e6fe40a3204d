# One verb a need. `just` alone lists them. CI runs `.ci/run`, which is `just ci`.

_default:
    @just --list

# The main job on the embedded defaults: photos in, pictures out.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# Installs what the tests need, then runs every test.
test *ARGS:
    tests/run {{ARGS}}

# The tests that have a Redis, on Valkey.
test-valkey:
    tests/valkey

# The kernels for cards, and the model on them, on a Vulkan device: a card's, or the one that Mesa makes of the CPU.
test-kernels *ARGS:
    tests/kernels {{ARGS}}

# Runs a CUDA build where there is no card, on a driver that computes nothing: do its kernels compile, how many are launched, what memory.
without-card *ARGS:
    cargo build --release --locked --package likeness --features cuda
    tests/cuda_stand_in/run ${CARGO_TARGET_DIR:-target}/release/likeness {{ARGS}}

# Every row of the faults table, then a random campaign of FAULTS faults, held against the bounds of docs/faults.md.
test-fault SEED="1" FAULTS="1000":
    tests/faults {{SEED}} {{FAULTS}}

# What CI runs: format, lint, every test.
ci:
    .ci/run

fmt:
    cargo fmt --all

lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Licences, bans and sources of every dependency (needs cargo-deny; the advisory check needs the network).
deny *ARGS:
    cargo deny --locked check {{ARGS}} licenses bans sources

# Holds the model against the reference folders and prints a table of groups, errors and limits.
parity *DIRS="tests/fixtures/tiny-a tests/fixtures/tiny-sd15 tests/fixtures/tiny-v":
    cargo build --release --locked
    for dir in {{DIRS}}; do target/release/likeness parity "$dir" || exit 1; done

# One UNet forward and one training step, ours beside PyTorch's, one thread each (needs models/pocket/requirements.txt).
bench-model MODEL="models/pocket" REPEATS="15" BATCH="8" PYTHON="python3":
    cargo build --release --locked --example bench_model
    OMP_NUM_THREADS=1 {{PYTHON}} cli/examples/bench_model.py target/release/examples/bench_model {{MODEL}} {{REPEATS}} {{BATCH}}

# A day of a large fleet in virtual time, with the real scheduler: waits, fairness, utilisation. `--scenario flood` for one user's flood.
simulate *ARGS:
    cargo run --release --locked -p likeness-coordinator --bin likeness-coordinator -- simulate {{ARGS}}

# The fleet on a Redis of its own: latencies, throughput (beside BullMQ's, where npm can have it), memory, fairness of a flood.
bench-fleet *ARGS:
    cargo build --release --locked -p likeness-coordinator --bin likeness-coordinator --example bench_fleet
    ${CARGO_TARGET_DIR:-target}/release/examples/bench_fleet --coordinator ${CARGO_TARGET_DIR:-target}/release/likeness-coordinator {{ARGS}}

# Memory of a training pass with activations kept and worked out twice: ROWS rows of SIDE x SIDE latents.
bench-checkpointing MODEL="models/pocket" ROWS="8" SIDE="32":
    cargo build --release --locked --example bench_checkpointing
    ${CARGO_TARGET_DIR:-target}/release/examples/bench_checkpointing {{MODEL}} {{ROWS}} {{SIDE}}

# The engine on the pocket model: users batched against one after another, a generation among inversions, a turn's cost, growth.
bench-engine *ARGS:
    cargo build --release --locked --example bench_engine
    ${CARGO_TARGET_DIR:-target}/release/examples/bench_engine {{ARGS}}

# The CUDA kernels for Hopper beside PyTorch's, layer by layer (needs such a card and PyTorch; `--compile` needs NVRTC alone).
bench-hopper *ARGS:
    python3 tests/hopper_kernels {{ARGS}}

# Everything that a card has to prove: parity, speed beside PyTorch and the floor, memory, cold start (docs/gpu.md). `--dry` without a card.
gpu-checklist *ARGS:
    python3 tests/gpu_checklist {{ARGS}}
