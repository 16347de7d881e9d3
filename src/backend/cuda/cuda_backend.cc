// SPDX-License-Identifier: MIT
#include "backend/cuda/cuda_backend.h"

#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/kernels/rows.h"
#include "base/error.h"
#include "base/random.h"

namespace barcodemae {

using namespace cuda;

CudaBackend::CudaBackend(int device) {
  check(cudaSetDevice(device));
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  staging_ = std::make_unique<Staging>();
  gemm_ = std::make_unique<Gemm>(stream_);
}

CudaBackend::~CudaBackend() {
  cudaStreamSynchronize(stream_);
  gemm_.reset();
  staging_.reset();
  cudaStreamDestroy(stream_);
}

void* CudaBackend::allocate(std::size_t bytes) { return allocate_memory(bytes, stream_); }
void CudaBackend::release(void* memory, std::size_t) { release_memory(memory); }

std::size_t CudaBackend::available_memory() const {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total));
  // cuBLASLt loads its kernels when they are first used.
  constexpr std::size_t kForKernels = std::size_t{512} << 20;
  return free - std::min(free, kForKernels);
}

void CudaBackend::upload(View destination, const void* host) {
  if (destination.size() > 0) {
    staging_->upload(destination.data, host, destination.bytes(), stream_);
  }
}

void CudaBackend::download(void* host, View source) const {
  if (source.size() == 0) return;
  check(cudaMemcpyAsync(host, source.data, source.bytes(), cudaMemcpyDeviceToHost, stream_));
  check(cudaStreamSynchronize(stream_));
}

void CudaBackend::zero(View destination) {
  if (destination.size() > 0) {
    check(cudaMemsetAsync(destination.data, 0, destination.bytes(), stream_));
  }
}

DType CudaBackend::activation_type(DType precision) const {
  if (precision == DType::kInt8) {
    throw UserError("--precision int8 is of the CPU\nUse bf16 or f32 on a GPU.");
  }
  return precision;
}

void CudaBackend::refresh_weights(const Parameters& parameters, DType precision, bool) {
  BARCODEMAE_CHECK(precision == DType::kFloat32 || precision == DType::kBFloat16, "products in {}",
                   to_string(precision));
  Companion& companion = companion_of(parameters);
  companion.precision = precision;
  if (precision != DType::kBFloat16) return;
  const std::size_t bytes = static_cast<std::size_t>(companion.count) * sizeof(__nv_bfloat16);
  if (companion.copy.data() == nullptr) companion.copy = Buffer(bytes, stream_);
  narrow(stream_, static_cast<__nv_bfloat16*>(companion.copy.data()),
         static_cast<const float*>(parameters.values().data), companion.count);
}

void CudaBackend::forget_weights(const Parameters& parameters) {
  companions_.erase(static_cast<const float*>(parameters.values().data));
}

CudaBackend::Companion& CudaBackend::companion_of(const Parameters& parameters) {
  Companion& companion = companions_[static_cast<const float*>(parameters.values().data)];
  companion.count = parameters.padded_count();
  return companion;
}

const CudaBackend::Companion* CudaBackend::companion_of(const void* value,
                                                        const float** first) const {
  const auto* address = static_cast<const float*>(value);
  auto next = companions_.upper_bound(address);
  if (next == companions_.begin()) return nullptr;
  --next;
  if (address >= next->first + next->second.count) return nullptr;
  *first = next->first;
  return &next->second;
}

View CudaBackend::operand(const Parameter& parameter, DType type) const {
  const float* first = nullptr;
  const Companion* companion = companion_of(parameter.value.data, &first);
  BARCODEMAE_CHECK(companion != nullptr && companion->precision == type,
                   "no refresh_weights() for parameter {} in {}", parameter.index, to_string(type));
  View view = parameter.value;
  if (type == DType::kBFloat16) {
    view.dtype = type;
    view.data = static_cast<__nv_bfloat16*>(companion->copy.data()) + (values(parameter) - first);
  }
  return view;
}

void* CudaBackend::sums(std::size_t bytes) {
  if (bytes > sums_.size()) sums_ = Buffer(bytes, stream_);
  return sums_.data();
}

void CudaBackend::project(View y, View x, const Parameter& weight, const Parameter& bias) {
  Product product;
  product.a = x;
  product.b = operand(weight, x.dtype);
  product.d = y;
  product.transpose_b = true;
  product.bias = operand(bias, y.dtype).data;
  gemm_->multiply(product);
}

void CudaBackend::project_back(View dx, View dy, const Parameter& weight, const void* c) {
  Product product;
  product.a = dy;
  product.b = operand(weight, dy.dtype);
  product.d = dx;
  product.c = c;
  product.beta = c == nullptr ? 0.0f : 1.0f;
  gemm_->multiply(product);
}

void CudaBackend::add_weight_gradient(const Parameter& weight, View dy, View x, float factor,
                                      std::int64_t stride) {
  if (weight.gradient.data == nullptr) return;
  Product product;
  product.a = dy;
  product.a_stride = stride;
  product.b = x;
  product.d = weight.gradient;
  product.transpose_a = true;
  product.alpha = factor;
  product.beta = 1;
  product.rows_are_tokens = false;
  gemm_->multiply(product);
}

std::int64_t cuda::column_sum_count(std::int64_t rows, std::int64_t cols) {
  return (rows + kSumPieceRows - 1) / kSumPieceRows * cols;
}

void CudaBackend::add_bias_gradient(const Parameter& bias, View dy, float* partial, float factor,
                                    std::int64_t stride) {
  if (bias.gradient.data == nullptr || dy.rows == 0) return;
  column_sums(stream_, partial, dy, stride == 0 ? dy.cols : stride);
  add_partial_sums(stream_, gradient(bias), partial, column_sum_count(dy.rows, 1), dy.cols, dy.cols,
                   factor);
}

Norm CudaBackend::norm_of(View y, const Parameter& weight, const Parameter& bias, float epsilon,
                          const Segments& segments, const Dropout& dropout) const {
  if (y.cols > kWidestNorm) {
    throw UserError("a width of {}: on a GPU, {} is the widest\nUse --device cpu.", y.cols,
                    kWidestNorm);
  }
  Norm norm;
  norm.type = y.dtype;
  norm.rows = y.rows;
  norm.width = y.cols;
  norm.weight = values(weight);
  norm.bias = values(bias);
  norm.epsilon = epsilon;
  norm.names = row_names(segments);
  norm.dropout = dropout_stream(dropout);
  return norm;
}

void CudaBackend::add_norm_gradients(const float* partial, std::int64_t rows, std::int64_t width,
                                     const Parameter& weight, const Parameter& bias,
                                     const Parameter& third) {
  if (rows == 0) return;  // nothing to add, and no partial sums
  const std::int64_t pieces = (rows + kNormPieceRows - 1) / kNormPieceRows;
  std::int64_t which = 0;
  for (const Parameter* parameter : {&weight, &bias, &third}) {
    if (parameter->gradient.data != nullptr) {
      add_partial_sums(stream_, gradient(*parameter), partial + which * width, pieces, 3 * width,
                       width);
    }
    ++which;
  }
}

View CudaBackend::residual_backward(View dsum, View dproduct, View dy, View sum, float* partial,
                                    const Norm& norm, const Parameter& weight,
                                    const Parameter& bias, const Parameter& product_bias) {
  const bool dropping = norm.dropout.threshold > 0;
  residual_norm_backward(
      stream_, norm, {dsum.data, dropping ? dproduct.data : nullptr, dy.data, sum.data, partial});
  add_norm_gradients(partial, norm.rows, norm.width, weight, bias, product_bias);
  return dropping ? dproduct : dsum;
}

RowNames cuda::row_names(const Segments& segments) {
  return {integers(segments.offsets), integers(segments.records), integers(segments.positions),
          static_cast<int>(segments.sequences())};
}

DropoutStream cuda::dropout_stream(const Dropout& dropout) {
  return {dropout.seed, static_cast<std::uint32_t>(Stream::kDropout) + dropout.site, dropout.step,
          dropout.threshold(), dropout.scale()};
}

}  // namespace barcodemae
