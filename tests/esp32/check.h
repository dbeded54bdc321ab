// What a test of C++ promises; the first promise that is broken ends it.
#pragma once

#include <cstdio>
#include <cstdlib>

static void check(bool holds, const char *what, int line) {
  if (holds)
    return;
  printf("line %d: %s\n", line, what);
  exit(1);
}
#define CHECK(condition) check(condition, #condition, __LINE__)
