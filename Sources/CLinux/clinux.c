#define _GNU_SOURCE
#include "clinux.h"

#include <malloc.h>
#include <linux/btrfs.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int clinux_open_counter(uint32_t type, uint64_t config, int cpu, int leader, bool is_group) {
  struct perf_event_attr attributes = {
      .type = type,
      .size = sizeof attributes,
      .config = config,
      .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
      .disabled = leader < 0,
      .exclude_hv = 1,
  };
  if (is_group) attributes.read_format |= PERF_FORMAT_GROUP;
  return (int)syscall(SYS_perf_event_open, &attributes, -1, cpu, leader, PERF_FLAG_FD_CLOEXEC);
}

int clinux_start_counter(int descriptor) {
  return ioctl(descriptor, PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP);
}

int clinux_btrfs_read_info(int descriptor, uint8_t fsid[16], uint64_t *device_count, uint64_t *greatest_id) {
  struct btrfs_ioctl_fs_info_args info = {0};
  if (ioctl(descriptor, BTRFS_IOC_FS_INFO, &info) != 0) return -1;
  memcpy(fsid, info.fsid, sizeof info.fsid);
  *device_count = info.num_devices;
  *greatest_id = info.max_id;
  return 0;
}

int clinux_btrfs_read_device(int descriptor, uint64_t id, struct clinux_btrfs_device *device) {
  struct btrfs_ioctl_dev_info_args info = {.devid = id};
  struct btrfs_ioctl_get_dev_stats stats = {.devid = id, .nr_items = BTRFS_DEV_STAT_VALUES_MAX};
  _Static_assert(sizeof info.path < sizeof device->path, "room for the path and a 0");
  _Static_assert(sizeof info.uuid == sizeof device->uuid, "a UUID");
  _Static_assert(sizeof stats.values == sizeof device->errors, "five kinds of error");
  if (ioctl(descriptor, BTRFS_IOC_DEV_INFO, &info) != 0) return -1;
  if (ioctl(descriptor, BTRFS_IOC_GET_DEV_STATS, &stats) != 0) return -1;
  memset(device, 0, sizeof *device);
  memcpy(device->uuid, info.uuid, sizeof info.uuid);
  device->total = info.total_bytes;
  device->used = info.bytes_used;
  memcpy(device->errors, stats.values, sizeof stats.values);
  memcpy(device->path, info.path, sizeof info.path);
  return 0;
}

long clinux_getdents(int descriptor, void *buffer, unsigned long size) {
  return syscall(SYS_getdents64, descriptor, buffer, size);
}

int clinux_ioctl(int descriptor, unsigned long request, void *argument) {
  return ioctl(descriptor, request, argument);
}

void clinux_trim_heap(void) { malloc_trim(0); }

void clinux_map_blocks_from(int bytes) { mallopt(M_MMAP_THRESHOLD, bytes); }
