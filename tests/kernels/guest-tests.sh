# What every guest proves of its kernel. Each step leaves NAME.log and NAME.exit in the folder given.
out=$1

step() {
    name=$1
    shift
    "$@" >"$out/$name.log" 2>&1
    echo $? >"$out/$name.exit"
    echo "$name: exit code $(cat "$out/$name.exit")"
}

step kernel uname -r
# Tens of thousands of frames prove no more on one kernel than on another, and are slow in emulation.
step bpf .venv/bin/python -m pytest -p no:cacheprovider -m 'not volume' tests/bpf
# Their own tree, with every controller, as most hosts have it today.
mkdir -p /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
step in-guest env HEDGEROW_GUEST=1 .venv/bin/python -m pytest -p no:cacheprovider tests/kernels/in_guest
# The other half differs by nothing that a kernel has a hand in.
step faults .venv/bin/python -m pytest -p no:cacheprovider -k 'IPv6 or same_requests or let_go' \
    tests/netns/test_network_faults_standalone.py
step cgroups .venv/bin/python -m pytest -p no:cacheprovider tests/netns/test_cgroups.py
for line in netem htb; do
    step "smoke-$line" .venv/bin/orchestrator run scenarios/smoke.yaml --backend netns --collect-only \
        --set "hedging.delay_line=$line" --results "$out/results-$line"
done
