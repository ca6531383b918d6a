"""What hangs in the kernel, or vanishes, costs itself only."""
import concurrent.futures
import contextlib
import ctypes
import os
import shutil
import subprocess
import time

import hostile
from parts import free_port, get, until


XFS = {"stats/stats": "extent_alloc 1 2 3 4\nrw 28 9\nvnodes 4 0 0 0 1 1 1 0\n"}
ZFS_POOL = {"state": "ONLINE\n", "io": "1 3\nnread nwritten\n18 32\n",
            "objset-0x1": "2 1\nname type data\ndataset_name 7 tank\nwrites 4 4\n"}
BCACHEFS_DEVICE = {"label": "a\n", "state": "rw\n", "nbuckets": "5\n", "io_done": "read:\nsb : 5\n"}
HOSTILE_COLLECTORS = {  # and whether they succeed
    "bcache": 1, "bcachefs": 1, "btrfs": 1, "dmmultipath": 1, "filesystem": 1, "loadavg": 1, "mdadm": 1, "meminfo": 0,
    "netdev": 1, "stat": 1, "textfile": 1, "thermal_zone": 0, "xfs": 1, "zfs": 1}


def hostile_tree(root, stuck):
    """A /proc and a /sys with a FIFO here, a way into the stuck mount there, and devices; gives those that go."""
    hostile.write_tree(root, {
        "proc/mdstat": "md0 : active raid1 sda1[0] sdb1[1]\n 9 blocks [2/2] [UU]\n\nunused devices: <none>\n",
        "proc/spl/kstat/zfs/fm": "1 2\nname type data\nerpt-dropped 4 18\n",
        "sys/fs/xfs/stays/stats/stats": XFS["stats/stats"], "sys/fs/bcachefs/a-b/btree_cache_size": "1k\n",
        "sys/fs/bcachefs/a-b/counters/fsync": "since filesystem creation: 7\n"})
    for name in ["loadavg", "stat"]:
        os.symlink(f"/proc/{name}", f"{root}/proc/{name}")
    os.mkdir(f"{root}/proc/1")
    os.symlink("/proc/self/mountinfo", f"{root}/proc/1/mountinfo")
    os.mkfifo(f"{root}/proc/meminfo")
    os.makedirs(f"{root}/sys/fs/xfs/fifo/stats")
    os.mkfifo(f"{root}/sys/fs/xfs/fifo/stats/stats")
    os.makedirs(f"{root}/sys/block")
    os.makedirs(f"{root}/sys/class")
    os.symlink(stuck, f"{root}/sys/class/thermal")
    return {
        "sys/fs/xfs/goes": XFS, "proc/spl/kstat/zfs/tank": ZFS_POOL, "sys/fs/bcachefs/a-b/dev-1": BCACHEFS_DEVICE,
        "sys/block/md0": {"md/level": "raid1\n", "md/raid_disks": "2\n", "md/degraded": "0\n"},
        "sys/block/dm-0": {"dm/uuid": "mpath-1\n", "dm/name": "a\n", "dm/suspended": "0\n", "size": "8\n"},
        "sys/fs/bcache/c-d": {"congested": "0\n", "bdev0/dirty_data": "1.5k\n", "cache0/written": "0\n"},
        "sys/fs/btrfs/e-f": {"label": "x\n", "devices/sda/size": "8\n", "allocation/data/single/used_bytes": "1\n"}}


@hostile.in_namespaces
def test_what_hangs_or_vanishes_costs_only_itself(folder):
    """1,000 scrapes within their deadline and with all the rest, while a mount is stuck, a collector hangs in the
    kernel, FIFOs stand for files, and devices and an interface come and go; threads and descriptors stay as many."""
    deadline, stuck, root = 5, f"{folder.path}/stuck", f"{folder.path}/tree"
    textfiles = f"{folder.path}/textfiles"
    os.makedirs(textfiles)
    os.mkfifo(f"{textfiles}/x.prom")
    folder.file("textfiles/good.prom", "from_file 7\n")
    port = free_port()

    def scrape():
        start = time.monotonic()
        text = get(f"http://127.0.0.1:{port}/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": str(deadline)})
        took = time.monotonic() - start
        assert took < deadline, f"an answer after {took} s"
        return text

    def check(text):
        lines = text.splitlines()
        success = {name: f'node_scrape_collector_success{{collector="{name}"}} {value}'
                   for name, value in HOSTILE_COLLECTORS.items()}
        wanted = [*success.values(), "from_file 7", "node_zfs_fm_erpt_dropped 18", 'node_md_blocks{device="md0"} 9',
                  'node_xfs_read_calls_total{device="stays"} 9', 'node_bcachefs_fsync_total{uuid="a-b"} 7',
                  'node_filesystem_device_error{device="stuck",device_error="mountpoint timeout",fstype="fuse",'
                  f'mountpoint="{stuck}"}} 1']
        missing = [line for line in wanted if line not in lines]
        assert not missing, missing
        for start in ["node_load1 ", "node_forks_total ", 'node_network_receive_bytes_total{device="lo"} ']:
            assert any(line.startswith(start) for line in lines), start

    def many(count):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for text in pool.map(lambda _: scrape(), range(count)):
                check(text)

    def counts(pid):
        return [len(os.listdir(f"/proc/{pid}/{kind}")) for kind in ("task", "fd")]

    with contextlib.ExitStack() as stack:
        # The loops come first: they would hold the mount's descriptor too.
        stack.enter_context(hostile.forever(hostile.come_and_go(root, hostile_tree(root, stuck))))
        if os.path.exists("/dev/net/tun"):
            stack.enter_context(hostile.forever(hostile.interface_comes_and_goes))
        close_mount = stack.enter_context(hostile.stuck_mount(stuck))
        exporter = stack.enter_context(folder.exporter(
            port, f"--path.procfs={root}/proc", f"--path.sysfs={root}/sys", "--collector.disable-defaults",
            "--collector.filesystem.mount-timeout=500ms", f"--collector.textfile.directory={textfiles}",
            *[f"--collector.{name}" for name in HOSTILE_COLLECTORS]))
        many(100)
        before = counts(exporter.pid)
        many(900)
        until("no more threads and descriptors than before",
              lambda: all(now <= then for now, then in zip(counts(exporter.pid), before)), 30)
        # The mount's end: whoever waited for it is back, and nothing is reported as stuck.
        close_mount()
        until("nothing is stuck", lambda: "mountpoint timeout" not in scrape())
        until("the threads are back", lambda: counts(exporter.pid)[0] < before[0], 30)
        assert exporter.poll() is None


@hostile.in_namespaces
def test_btrfs_devices(folder):
    """A mounted btrfs file system: what its devices say by ioctl."""
    if not shutil.which("mkfs.btrfs") or not os.path.exists("/dev/loop-control"):
        raise hostile.Skipped("needs btrfs-progs and loop devices")

    def run(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    images = [f"{folder.path}/{n}.img" for n in "ab"]
    for image in images:
        folder.file(os.path.basename(image))
        os.truncate(image, 200 << 20)
    run("mkfs.btrfs", "-q", "-L", "pilot", "-d", "raid1", "-m", "raid1", *images)
    loops = [run("losetup", "-f", "--show", image) for image in images]
    try:
        point, port = f"{folder.path}/mnt", free_port()
        os.mkdir(point)
        try:
            run("btrfs", "device", "scan", *loops)
            hostile.mount(loops[0], point, "btrfs")
        except (OSError, subprocess.CalledProcessError) as e:
            raise hostile.Skipped(f"no btrfs in this kernel: {e}")
        with open(f"{point}/file", "wb") as f:
            f.write(b"x" * (1 << 20))
        os.sync()
        # What is on one device is spoilt: reading all finds it, and repairs it from the other.
        with open(loops[1], "r+b", buffering=0) as device:
            data = device.read(190 << 20)
            offset = data.find(b"x" * 4096)
            device.seek(offset - offset % 4096)
            assert offset >= 0
            device.write(b"y" * 4096)
            os.fsync(device.fileno())
        run("btrfs", "scrub", "start", "-B", point)
        # Process 1 is in another mount namespace: it does not see the mount.
        os.makedirs(f"{folder.path}/proc/1")
        os.symlink("/proc/self/mountinfo", f"{folder.path}/proc/1/mountinfo")
        with folder.exporter(
                port, "--collector.disable-defaults", "--collector.btrfs", f"--path.procfs={folder.path}/proc"):
            text = get(f"http://127.0.0.1:{port}/metrics")
        for index, loop in enumerate(loops):
            device = f'device="{os.path.basename(loop)}"'
            lines = [line for line in text.splitlines() if device in line]
            assert any(line.startswith("node_btrfs_device_size_bytes{btrfs_dev_uuid=") and line.endswith(" 2.097152e+08")
                       for line in lines), lines
            errors = {line.split('type="')[1].split('"')[0]: float(line.split()[-1])
                      for line in lines if line.startswith("node_btrfs_device_errors_total")}
            assert (errors.pop("corruption") > 0) == (index == 1), lines
            assert errors == {"write": 0, "read": 0, "flush": 0, "generation": 0}, lines
    finally:
        ctypes.CDLL(None).umount2(f"{folder.path}/mnt".encode(), 0)
        for loop in loops:
            run("losetup", "-d", loop)
