#!/bin/busybox sh
# First process of a guest: makes a root of the host's own tree, read-only below a layer in memory, and goes there.
export PATH=/bin
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev

for module in /modules/*.ko; do
    $b insmod "$module" || echo "guest: cannot load $module"
done

$b mount -t virtiofs -o ro host /host &&
    $b mount -t virtiofs out /out &&
    $b mount -t tmpfs -o size=75% layer /overlay &&
    $b mkdir /overlay/upper /overlay/work &&
    $b mount -t overlay -o lowerdir=/host,upperdir=/overlay/upper,workdir=/overlay/work root /root || {
    echo "guest: no root file system"
    $b poweroff -f
}

cd /root || $b poweroff -f
$b mount -t proc proc proc
$b mount -t sysfs sys sys
$b mount -t devtmpfs dev dev
$b mkdir -p dev/pts dev/shm
$b mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
$b mount -t tmpfs shm dev/shm
$b mount -t tmpfs run run
$b mount -t bpf bpf sys/fs/bpf
$b mkdir -p run/guest/out run/lock
$b mount --move /out run/guest/out
$b cp /bin/busybox /guest-job.sh /job.sh run/guest/
exec $b switch_root /root /bin/sh /run/guest/guest-job.sh </dev/console >/dev/console 2>&1
