#ifndef PILOTFISH_CLINUX_H
#define PILOTFISH_CLINUX_H

// What Swift cannot import from Linux's headers: GNU extensions, variadic calls, macros.

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/statfs.h>

/// Names the calling thread, as ps and top show it; at most 15 bytes (pthread_setname_np(3)).
void clinux_name_thread(const char *name);

/// Reads the next entries of a directory, struct linux_dirent64 each; 0 at its end, -1 with errno (getdents64(2)).
long clinux_getdents(int descriptor, void *buffer, unsigned long size);

#endif
