# What a guest with two processors proves: that what is decided once is decided once.
HEDGEROW_GUEST="$1" .venv/bin/python -m pytest -p no:cacheprovider --timeout=3000 \
    tests/bpf/test_at_once.py tests/netns/test_two_cpus.py
