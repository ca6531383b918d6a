#ifndef PILOTFISH_CLINUX_H
#define PILOTFISH_CLINUX_H

// What Swift cannot import from Linux's headers: variadic calls, macros, and structs of linux/*.h.

#define _GNU_SOURCE
#include <stdint.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <time.h>

#endif
