#ifndef PILOTFISH_CRE2_H
#define PILOTFISH_CRE2_H

// RE2 (https://github.com/google/re2) for Swift: the few calls that Patterns needs, without C++ in sight.

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cre2_pattern cre2_pattern;

/// Compiles `pattern` (UTF-8, RE2 syntax). NULL when it is not a valid pattern; then `error` (of `error_size`
/// bytes) holds RE2's reason, NUL-terminated. `dot_matches_newline` is RE2's (?s).
cre2_pattern *cre2_compile(const char *pattern, size_t length, bool dot_matches_newline, char *error,
                           size_t error_size);

/// Whether the pattern occurs anywhere in `text`.
bool cre2_search(const cre2_pattern *pattern, const char *text, size_t length);

/// How many capturing groups the pattern has.
int cre2_group_count(const cre2_pattern *pattern);

/// The number of the capturing group `name`; 0 when there is none.
int cre2_group_number(const cre2_pattern *pattern, const char *name, size_t length);

/// Finds the leftmost match. `bounds` holds a start and an end for each of the first `groups` groups, of which number 0
/// is the whole match; both are -1 for a group that took no part in it.
bool cre2_match(const cre2_pattern *pattern, const char *text, size_t length, ptrdiff_t *bounds, size_t groups);

void cre2_free(cre2_pattern *pattern);

#ifdef __cplusplus
}
#endif
#endif
