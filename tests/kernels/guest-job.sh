# Second half of a guest's life, inside the host's tree: runs the job, says how it ended, switches off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
export PYTHONUNBUFFERED=1
bb=/run/guest/busybox
$bb ip link set lo up
$bb hostname guest
$bb stty raw -echo </dev/hvc0
sh /run/guest/job.sh /run/guest/out </dev/null >/dev/hvc0 2>&1
code=$?
$bb sync
echo "$code" >/dev/ttyS1
$bb poweroff -f
