// SPDX-License-Identifier: MIT
// All parameters of a model in one flat buffer, and their gradients and moments in three more.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "tensor/view.h"

namespace barcodemae {

class Backend;

/// How a parameter is filled before training.
struct Initialisation {
  enum class Kind { kZero, kOne, kNormal, kUniform } kind = Kind::kZero;
  double scale = 0;  ///< standard deviation (normal) or bound (uniform in ±scale)
};

/// What the optimiser does with a parameter.
struct ParameterOptions {
  bool weight_decay = true;
  bool frozen = false;
  float learning_rate_factor = 1;
};

/// One parameter matrix as ops see it: where its value and gradient lie. `gradient.data` is null
/// when gradients are not kept (inference) or the parameter is frozen. Gradients are accumulated;
/// the optimiser zeroes them. A plain value: copy it freely, it lives as long as its Parameters.
struct Parameter {
  View value;      ///< [rows, cols], float32 (float64 in the reference backend's double mode)
  View gradient;   ///< the same shape and type, or no data
  int index = -1;  ///< its place in Parameters::entries()
};

/// The parameters of one model. First declare() all of them, then allocate(), then get().
class Parameters {
 public:
  struct Entry {
    /// Names under which the entry is stored in files; several for a matrix whose row blocks have
    /// names of their own (query, key and value of an attention), of equal heights.
    std::vector<std::string> names;
    std::int64_t rows = 0, cols = 0;
    std::int64_t offset = 0;  ///< first element in the flat buffers; a multiple of 16
    Initialisation initialisation;
    ParameterOptions options;
    bool matmul = false;  ///< the right-hand side of a matrix product: backends keep compute copies
  };

  explicit Parameters(Backend& backend, DType dtype = DType::kFloat32);
  ~Parameters();
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  /// Returns the entry's index. Throws InternalError when a name is taken or memory is allocated.
  int declare(std::vector<std::string> names, std::int64_t rows, std::int64_t cols,
              Initialisation initialisation, bool matmul = false, ParameterOptions options = {});

  /// Takes memory for the values, and for gradients and AdamW's two moments when `training`.
  void allocate(bool training);
  /// Fills every parameter by its Initialisation, each from numbers of its own: a name's values
  /// depend only on (seed, name). Moments and gradients become 0.
  void initialise(std::uint64_t seed);

  Parameter get(int index) const;
  /// Changes what the optimiser does with a parameter from now on.
  void set_options(int index, const ParameterOptions& options) {
    entries_.at(static_cast<std::size_t>(index)).options = options;
  }
  const std::vector<Entry>& entries() const { return entries_; }
  std::int64_t count() const;  ///< number of parameters, padding not counted
  std::int64_t padded_count() const { return padded_count_; }  ///< elements of each flat buffer
  DType dtype() const { return dtype_; }
  Backend& backend() const { return backend_; }
  bool training() const { return gradients_.data != nullptr; }

  /// The flat buffers, [1, padded count]. Padding is 0 and stays 0.
  View values() const { return values_; }
  View gradients() const { return gradients_; }
  View first_moments() const { return first_moments_; }
  View second_moments() const { return second_moments_; }

  /// One named tensor from or to host memory (float32, row-major), for files and tests. Throws
  /// InternalError for an unknown name or a wrong size.
  void upload(const std::string& name, std::span<const float> values);
  std::vector<float> download(const std::string& name) const;
  std::vector<float> download_gradient(const std::string& name) const;
  struct NamedShape {
    std::string name;
    std::int64_t rows, cols;
    bool matmul;
  };
  /// Every name with its shape, in declaration order.
  std::vector<NamedShape> names() const;

 private:
  View slice(View flat, const std::string& name) const;
  std::vector<float> to_host(View view) const;

  Backend& backend_;
  DType dtype_;
  std::vector<Entry> entries_;
  std::int64_t padded_count_ = 0;
  View values_, gradients_, first_moments_, second_moments_;
};

}  // namespace barcodemae
