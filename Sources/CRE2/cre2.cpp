#include "cre2.h"

#include <cstdio>
#include <new>
#include <re2/re2.h>

struct cre2_pattern {
  re2::RE2 re;
  cre2_pattern(const re2::StringPiece &text, const re2::RE2::Options &options) : re(text, options) {}
};

cre2_pattern *cre2_compile(const char *pattern, size_t length, bool dot_matches_newline, char *error,
                           size_t error_size) {
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_dot_nl(dot_matches_newline);
  auto *compiled = new (std::nothrow) cre2_pattern(re2::StringPiece(pattern, length), options);
  if (compiled != nullptr && compiled->re.ok()) return compiled;
  std::snprintf(error, error_size, "%s", compiled == nullptr ? "out of memory" : compiled->re.error().c_str());
  delete compiled;
  return nullptr;
}

bool cre2_search(const cre2_pattern *pattern, const char *text, size_t length) {
  return re2::RE2::PartialMatch(re2::StringPiece(text, length), pattern->re);
}

void cre2_free(cre2_pattern *pattern) { delete pattern; }
