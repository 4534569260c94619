// Every kernel on the same numbers, wherever this runs: a line for each case (cases.h). With the argument `scalar` the
// plain C alone.

#include "cases.h"

#include <stdio.h>

static void test_levels(bool is_scalar) {
  begin("mk_simd_level limited");
  mk_limit_simd(MK_SCALAR);
  add_bytes(mk_simd_level(), strlen(mk_simd_level()));
  end_same();
  mk_limit_simd(is_scalar ? MK_SCALAR : MK_AVX512);
  // The one line that is not a case.
  printf("level %s\n", mk_simd_level());
}

int main(int count, char **arguments) {
  test_levels(count > 1 && strcmp(arguments[1], "scalar") == 0);
  test_weights();
  test_averages();
  test_random();
  test_operations();
  test_sums();
  test_training();
  test_pictures();
}
