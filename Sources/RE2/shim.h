// libre2 is C++; CRE2 wraps it. This module only carries the link to the library.
