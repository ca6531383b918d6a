#ifndef PILOTFISH_CLINUX_H
#define PILOTFISH_CLINUX_H

// What Swift cannot import from Linux's headers: GNU extensions, variadic calls, macros.

#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/gen_stats.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nl80211.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/statfs.h>
#include <sys/timex.h>

/// Names the calling thread, as ps and top show it; at most 15 bytes (pthread_setname_np(3)).
void clinux_name_thread(const char *name);

/// Gives memory that is free back to the kernel (malloc_trim(3)).
void clinux_trim_heap(void);

/// From now on blocks of this many bytes and more are mapped one by one, and go back to the kernel when they are freed
/// (mallopt(3), M_MMAP_THRESHOLD).
void clinux_map_blocks_from(int bytes);

/// Opens a counter of all that runs on a CPU (perf_event_open(2)), stopped. Its values are read with the times for which
/// it was enabled and was running; those of a group together, from its leader.
///
/// `leader` is the descriptor of the group's first counter; -1 makes the counter the first of a group if `is_group`, else
/// one that stands alone. Gives a descriptor, or -1 and errno.
int clinux_open_counter(uint32_t type, uint64_t config, int cpu, int leader, bool is_group);

/// Starts a counter, and those of its group; -1 and errno when it cannot.
int clinux_start_counter(int descriptor);

/// A device of a btrfs file system, out of struct btrfs_ioctl_dev_info_args and struct btrfs_ioctl_get_dev_stats.
struct clinux_btrfs_device {
  uint8_t uuid[16];
  /// Bytes.
  uint64_t total, used;
  /// enum btrfs_dev_stat_values: write, read, flush, corruption, generation.
  uint64_t errors[5];
  /// Ends with a 0.
  char path[1025];
};

/// BTRFS_IOC_FS_INFO on any directory of the file system; -1 with errno when that fails.
int clinux_btrfs_read_info(int descriptor, uint8_t fsid[16], uint64_t *device_count, uint64_t *greatest_id);

/// BTRFS_IOC_DEV_INFO and BTRFS_IOC_GET_DEV_STATS; -1 with errno when one fails: ENODEV when there is no such device.
int clinux_btrfs_read_device(int descriptor, uint64_t id, struct clinux_btrfs_device *device);

/// Reads the next entries of a directory, struct linux_dirent64 each; 0 at its end, -1 with errno (getdents64(2)).
long clinux_getdents(int descriptor, void *buffer, unsigned long size);

/// ioctl(2) with a pointer as its argument.
int clinux_ioctl(int descriptor, unsigned long request, void *argument);

#endif
