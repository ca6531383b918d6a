#define _GNU_SOURCE
#include "clinux.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

long clinux_getdents(int descriptor, void *buffer, unsigned long size) {
  return syscall(SYS_getdents64, descriptor, buffer, size);
}
