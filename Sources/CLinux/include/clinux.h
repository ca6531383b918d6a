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
#include <sys/statfs.h>

/// Names the calling thread, as ps and top show it; at most 15 bytes (pthread_setname_np(3)).
void clinux_name_thread(const char *name);

/// ioctl(2) with a pointer as its argument.
int clinux_ioctl(int descriptor, unsigned long request, void *argument);

#endif
