#include "cre2.h"

#include <cstdio>
#include <new>
#include <re2/re2.h>
#include <string>
#include <vector>

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

int cre2_group_count(const cre2_pattern *pattern) { return pattern->re.NumberOfCapturingGroups(); }

int cre2_group_number(const cre2_pattern *pattern, const char *name, size_t length) {
  const auto &groups = pattern->re.NamedCapturingGroups();
  const auto group = groups.find(std::string(name, length));
  return group == groups.end() ? 0 : group->second;
}

bool cre2_match(const cre2_pattern *pattern, const char *text, size_t length, ptrdiff_t *bounds, size_t groups) {
  std::vector<re2::StringPiece> found(groups);
  if (!pattern->re.Match(re2::StringPiece(text, length), 0, length, re2::RE2::UNANCHORED, found.data(),
                         static_cast<int>(groups)))
    return false;
  for (size_t group = 0; group < groups; group++) {
    const auto &piece = found[group];
    bounds[2 * group] = piece.data() == nullptr ? -1 : piece.data() - text;
    bounds[2 * group + 1] = piece.data() == nullptr ? -1 : piece.data() - text + static_cast<ptrdiff_t>(piece.size());
  }
  return true;
}

void cre2_free(cre2_pattern *pattern) { delete pattern; }
