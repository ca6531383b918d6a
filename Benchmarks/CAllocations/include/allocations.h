// Counts what is asked of the heap, over all threads of the process.
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <stdint.h>

typedef struct {
  // Calls of malloc, calloc, realloc, posix_memalign and aligned_alloc.
  uint64_t calls;
  // Bytes that they asked for.
  uint64_t bytes;
} allocation_count;

// Since the process started.
allocation_count allocations(void);

#endif
