# What a guest with two processors proves: answers to both copies of a request that come at once.
HEDGEROW_GUEST="$1" .venv/bin/python -m pytest -p no:cacheprovider tests/netns/test_two_cpus.py
