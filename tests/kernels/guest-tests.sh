# What a guest proves of its kernel. Each step leaves NAME.log and NAME.exit in the folder given; $SMOKE_LINE, $SERIES
# and $ALL_ON (the one that also does what kernels have no hand in) are set before.
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
# Tens of thousands of frames prove no more on one kernel than on another; of the faults, IPv4 differs by nothing that a
# kernel has a hand in; nor does what the orchestrator does at a fault's time.
once=
[ "$SERIES" = "$ALL_ON" ] || once=--ignore=tests/kernels/in_guest/test_faults_in_a_run.py
step tests env HEDGEROW_GUEST="$out" .venv/bin/python -m pytest -p no:cacheprovider --timeout=3000 -m 'not volume' \
    -k 'not test_network_faults_standalone or IPv6 or same_requests or let_go' $once --durations=15 \
    tests/bpf tests/kernels/in_guest tests/netns/test_network_faults_standalone.py tests/netns/test_cgroups.py
step smoke .venv/bin/orchestrator run scenarios/smoke.yaml --backend netns --collect-only \
    --set "hedging.delay_line=$SMOKE_LINE" --results "$out/results"
