// SPDX-License-Identifier: MIT
// Cosine of two barcodes: embed_example MODEL SEQUENCE SEQUENCE
#include <barcodemae/barcodemae.h>

#include <cmath>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: embed_example MODEL SEQUENCE SEQUENCE\n");
    return 2;
  }
  try {
    barcodemae::Model model(argv[1]);
    const std::vector<float> vectors = model.embed({argv[2], argv[3]});
    const auto width = static_cast<std::size_t>(model.width());
    double dot = 0, first = 0, second = 0;
    for (std::size_t i = 0; i < width; ++i) {
      const double a = vectors[i], b = vectors[width + i];
      dot += a * b;
      first += a * a;
      second += b * b;
    }
    std::printf("%.4f\n", dot / std::sqrt(first * second));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
