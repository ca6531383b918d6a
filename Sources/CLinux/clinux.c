#define _GNU_SOURCE
#include "clinux.h"

#include <linux/perf_event.h>
#include <pthread.h>
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
