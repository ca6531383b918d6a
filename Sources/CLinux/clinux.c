#define _GNU_SOURCE
#include "clinux.h"

#include <pthread.h>
#include <sys/ioctl.h>

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int clinux_ioctl(int descriptor, unsigned long request, void *argument) {
  return ioctl(descriptor, request, argument);
}
