# What a guest proves of its kernel. Each step leaves NAME.log and NAME.exit in the folder given. Set before are $TESTS
# (which of them, for pytest) and $SMOKE_LINE (of a whole run, where there is one).
out=$1

step() {
    name=$1
    shift
    "$@" >"$out/$name.log" 2>&1
    echo $? >"$out/$name.exit"
    echo "$name: exit code $(cat "$out/$name.exit")"
}

step kernel uname -r
# Their own tree, with every controller, as most hosts have it today.
mkdir -p /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup

# One process for all tests: starting pytest and reading bcc for the first time take as long as most of them together.
# What takes two processors to show is for the machine that has them. Of the faults by eBPF, IPv4 differs by nothing
# that a kernel has a hand in.
step tests env HEDGEROW_GUEST="$out" .venv/bin/python -m pytest -p no:cacheprovider --timeout=3000 -m "$TESTS" \
    -k 'not test_network_faults_standalone or IPv6 or same_requests or let_go' --ignore=tests/bpf/test_at_once.py \
    tests/bpf tests/kernels/in_guest tests/netns/test_network_faults_standalone.py tests/netns/test_cgroups.py
[ -z "$SMOKE_LINE" ] || step smoke .venv/bin/orchestrator run scenarios/smoke.yaml --backend netns --collect-only \
    --set "hedging.delay_line=$SMOKE_LINE" --results "$out/results"
