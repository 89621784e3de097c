// Runs reference.v for so many cycles and prints CPU seconds and the last sum.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include "Vreference.h"

int main(int argc, char** argv) {
  const long cycles = std::atol(argv[1]);
  VerilatedContext context;
  Vreference core{&context};
  const std::clock_t begin = std::clock();
  for (long cycle = 0; cycle < cycles; ++cycle) {
    core.clk = 1;
    core.eval();
    core.clk = 0;
    core.eval();
  }
  std::printf("%f %u\n", double(std::clock() - begin) / CLOCKS_PER_SEC, core.sum);
}
