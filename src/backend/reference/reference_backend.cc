// SPDX-License-Identifier: MIT
#include "backend/reference/reference_backend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include "backend/reference/adamw.h"
#include "backend/reference/attention_block.h"
#include "backend/reference/cross_entropy.h"
#include "backend/reference/embed.h"
#include "backend/reference/feed_forward_block.h"
#include "backend/reference/label_loss.h"
#include "base/error.h"
#include "base/machine.h"

namespace barcodemae {
namespace {

using namespace reference;

/// Memory of a block op: what the backward pass needs is written where it is to be kept, or, for
/// inference, to scratch. Both functors cut a workspace.
template <typename Kept, typename Gradients>
KernelMemory memory_of(bool backward, const Kept& kept, const Gradients& gradients) {
  Workspace forward_memory, backward_memory;
  kept(forward_memory);
  gradients(backward_memory);
  if (!backward) return {.saved = 0, .forward_scratch = forward_memory.used()};
  return {.saved = forward_memory.used(),
          .forward_scratch = 0,
          .backward_scratch = backward_memory.used()};
}

Workspace forward_workspace(Bytes saved, Bytes scratch) {
  return Workspace(saved.size > 0 ? saved : scratch);
}

class ReferenceBackend final : public Backend {
 public:
  std::string name() const override { return "reference"; }

  void* allocate(std::size_t bytes) override {
    const std::size_t available = available_memory();
    const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    void* memory = bytes <= available ? std::aligned_alloc(kAlignment, rounded) : nullptr;
    if (memory == nullptr) {
      throw UserError("not enough memory: {} bytes are needed, {} are free", bytes, available);
    }
    std::memset(memory, 0, rounded);
    return memory;
  }
  void release(void* memory, std::size_t) override { std::free(memory); }
  std::size_t available_memory() const override { return available_memory_bytes(); }
  void upload(View destination, const void* host) override {
    if (destination.size() > 0) std::memcpy(destination.data, host, destination.bytes());
  }
  void download(void* host, View source) const override {
    if (source.size() > 0) std::memcpy(host, source.data, source.bytes());
  }
  void zero(View destination) override {
    if (destination.size() > 0) std::memset(destination.data, 0, destination.bytes());
  }

  DType activation_type(DType precision) const override {
    return precision == DType::kInt8 ? DType::kFloat32 : precision;
  }
  // The kernels read the parameters themselves: there are no copies to renew.
  void refresh_weights(const Parameters& parameters, DType precision, bool) override {
    forget_weights(parameters);
    if (precision != DType::kInt8) return;
    for (std::size_t i = 0; i < parameters.entries().size(); ++i) {
      if (parameters.entries()[i].matmul) int8_.insert(value_of(parameters, i));
    }
  }
  void forget_weights(const Parameters& parameters) override {
    for (std::size_t i = 0; i < parameters.entries().size(); ++i) {
      int8_.erase(value_of(parameters, i));
    }
  }

  KernelMemory embed_memory(const EmbeddingBlock& block, std::int64_t rows,
                            bool backward) const override {
    const View norm = block.norm_weight.value;
    return with_type(norm.dtype, [&]<typename T>(T) {
      return memory_of(
          backward, [&](Workspace& memory) { EmbedKept<T>(memory, rows, norm.cols); },
          [&](Workspace& memory) { EmbedGradients<T>(memory, rows, norm.cols); });
    });
  }
  void embed_forward(View y, View ids, View rows, const EmbeddingBlock& block,
                     const Segments& segments, const Dropout& dropout, Bytes saved,
                     Bytes scratch) override {
    with_type(y.dtype, [&]<typename T>(T) {
      reference::embed_forward(typed<T>(y), typed<const std::int32_t>(ids), typed<T>(rows), block,
                               segments, dropout, forward_workspace(saved, scratch));
    });
  }
  void embed_backward(View drows, bool accumulate, View dy, View, View ids, View,
                      const EmbeddingBlock& block, const Segments& segments, const Dropout& dropout,
                      Bytes saved, Bytes scratch) override {
    with_type(dy.dtype, [&]<typename T>(T) {
      reference::embed_backward(typed<T>(drows), accumulate, typed<T>(dy),
                                typed<const std::int32_t>(ids), block, segments, dropout,
                                Workspace(saved), Workspace(scratch));
    });
  }

  KernelMemory attention_block_memory(const AttentionBlock& block, const Segments& segments,
                                      DType activation, bool backward) const override {
    const std::int64_t rows = segments.rows(), width = block.output_weight.value.rows;
    return with_type(activation, [&]<typename T>(T) {
      return memory_of(
          backward, [&](Workspace& memory) { AttentionKept<T>(memory, rows, width); },
          [&](Workspace& memory) { AttentionGradients<T>(memory, rows, width); });
    });
  }
  void attention_block_forward(View y, View x, const AttentionBlock& block,
                               const Segments& segments, const Dropout& probabilities,
                               const Dropout& output, Bytes saved, Bytes scratch) override {
    with_type(y.dtype, [&]<typename T>(T) {
      reference::attention_block_forward(typed<T>(y), typed<T>(x), block, segments, probabilities,
                                         output, forward_workspace(saved, scratch),
                                         in_int8(block.qkv_weight));
    });
  }
  void attention_block_backward(View dx, bool accumulate, View dy, View, View x,
                                const AttentionBlock& block, const Segments& segments,
                                const Dropout& probabilities, const Dropout& output, Bytes saved,
                                Bytes scratch) override {
    with_type(dy.dtype, [&]<typename T>(T) {
      reference::attention_block_backward(typed<T>(dx), accumulate, typed<T>(dy), typed<T>(x),
                                          block, segments, probabilities, output, Workspace(saved),
                                          Workspace(scratch));
    });
  }

  KernelMemory feed_forward_block_memory(const FeedForwardBlock& block, const Segments& segments,
                                         DType activation, bool backward) const override {
    const View in = block.in_weight.value;
    const std::int64_t rows = segments.rows();
    return with_type(activation, [&]<typename T>(T) {
      return memory_of(
          backward, [&](Workspace& memory) { FeedForwardKept<T>(memory, rows, in.cols, in.rows); },
          [&](Workspace& memory) { FeedForwardGradients<T>(memory, rows, in.cols, in.rows); });
    });
  }
  void feed_forward_block_forward(View y, View x, const FeedForwardBlock& block,
                                  const Segments& segments, const Dropout& dropout, Bytes saved,
                                  Bytes scratch) override {
    with_type(y.dtype, [&]<typename T>(T) {
      reference::feed_forward_block_forward(typed<T>(y), typed<T>(x), block, segments, dropout,
                                            forward_workspace(saved, scratch),
                                            in_int8(block.in_weight));
    });
  }
  void feed_forward_block_backward(View dx, bool accumulate, View dy, View, View x,
                                   const FeedForwardBlock& block, const Segments& segments,
                                   const Dropout& dropout, Bytes saved, Bytes scratch) override {
    with_type(dy.dtype, [&]<typename T>(T) {
      reference::feed_forward_block_backward(typed<T>(dx), accumulate, typed<T>(dy), typed<T>(x),
                                             block, segments, dropout, Workspace(saved),
                                             Workspace(scratch));
    });
  }

  void linear_forward(View y, View x, const LinearLayer& layer) override {
    with_type(y.dtype, [&]<typename T>(T) {
      reference::linear_forward(typed<T>(y), typed<T>(x), typed<T>(layer.weight.value),
                                typed<T>(layer.bias.value), in_int8(layer.weight));
    });
  }
  void linear_backward(View dx, bool accumulate, View dy, View x,
                       const LinearLayer& layer) override {
    with_type(dy.dtype, [&]<typename T>(T) {
      linear_backward_parameters(typed<T>(layer.weight.gradient), typed<T>(layer.bias.gradient),
                                 typed<T>(dy), typed<T>(x));
      if (dx.data == nullptr) return;
      linear_backward_input(typed<T>(dx), accumulate, typed<T>(dy), typed<T>(layer.weight.value));
    });
  }

  void gather_rows_forward(View y, View x, View index) override {
    with_type(y.dtype, [&]<typename T>(T) {
      gather_rows(typed<T>(y), typed<T>(x), typed<const std::int32_t>(index));
    });
  }
  void gather_rows_backward(View dx, bool accumulate, View dy, View index) override {
    with_type(dy.dtype, [&]<typename T>(T) {
      reference::gather_rows_backward(typed<T>(dx), accumulate, typed<T>(dy),
                                      typed<const std::int32_t>(index));
    });
  }
  void scatter_rows_forward(View y, View x, View index, const Parameter& filler) override {
    with_type(y.dtype, [&]<typename T>(T) {
      scatter_rows(typed<T>(y), typed<T>(x), typed<const std::int32_t>(index),
                   typed<T>(filler.value));
    });
  }
  void scatter_rows_backward(View dx, bool accumulate, View dy, View index,
                             const Parameter& filler) override {
    with_type(dy.dtype, [&]<typename T>(T) {
      reference::scatter_rows_backward(typed<T>(dx), accumulate, typed<T>(filler.gradient),
                                       typed<T>(dy), typed<const std::int32_t>(index));
    });
  }

  void mean_pool_forward(View y, View x, const Segments& segments) override {
    with_type(y.dtype, [&]<typename T>(T) { mean_pool(typed<T>(y), typed<T>(x), segments); });
  }
  void mean_pool_backward(View dx, bool accumulate, View dy, const Segments& segments) override {
    with_type(dy.dtype, [&]<typename T>(T) {
      reference::mean_pool_backward(typed<T>(dx), accumulate, typed<T>(dy), segments);
    });
  }

  void add_forward(View y, View a, View b) override {
    with_type(y.dtype, [&]<typename T>(T) { add(typed<T>(y), typed<T>(a), typed<T>(b)); });
  }

  void convert_forward(View y, View x) override {
    with_type(y.dtype,
              [&]<typename T>(T) { std::copy_n(typed<T>(x).data, x.size(), typed<T>(y).data); });
  }
  void convert_backward(View dx, bool accumulate, View dy) override {
    with_type(dx.dtype, [&]<typename T>(T) {
      for (std::int64_t i = 0; i < dx.size(); ++i) {
        T& d = typed<T>(dx).data[i];
        d = typed<T>(dy).data[i] + (accumulate ? d : T{0});
      }
    });
  }

  KernelMemory label_loss_memory(View x) const override {
    return reference::label_loss_memory(x.rows, x.cols);
  }
  void label_loss_forward(View loss, View x, View labels, View groups, double scale,
                          const LabelLoss& options, Bytes scratch) override {
    with_type(x.dtype, [&]<typename T>(T) {
      reference::label_loss_forward<T>(loss, x, labels, groups, scale, options, scratch);
    });
  }
  void label_loss_backward(View dx, bool accumulate, double dloss, View x, View labels, View groups,
                           double scale, const LabelLoss& options, Bytes scratch) override {
    with_type(x.dtype, [&]<typename T>(T) {
      reference::label_loss_backward<T>(dx, accumulate, dloss * scale, x, labels, groups, options,
                                        scratch);
    });
  }

  KernelMemory pair_loss_memory(const PairClassifier& classifier, std::int64_t) const override {
    return reference::pair_loss_memory(classifier);
  }
  void pair_loss_forward(View loss, View x, View pairs, double scale,
                         const PairClassifier& classifier, Bytes scratch) override {
    with_type(x.dtype, [&]<typename T>(T) {
      reference::pair_loss_forward<T>(typed<T>(loss).data, typed<T>(x),
                                      typed<const std::int32_t>(pairs), scale, classifier,
                                      Workspace(scratch));
    });
  }
  void pair_loss_backward(View dx, bool accumulate, double dloss, View x, View pairs, double scale,
                          const PairClassifier& classifier, Bytes scratch) override {
    with_type(x.dtype, [&]<typename T>(T) {
      reference::pair_loss_backward<T>(typed<T>(dx), accumulate, dloss * scale, typed<T>(x),
                                       typed<const std::int32_t>(pairs), classifier,
                                       Workspace(scratch));
    });
  }

  KernelMemory cross_entropy_memory(const CrossEntropyHead& head, std::int64_t, std::int64_t scored,
                                    DType activation, bool backward) const override {
    const View weight = head.weight.value;
    return with_type(activation, [&]<typename T>(T) {
      return memory_of(
          backward,
          [&](Workspace& memory) { CrossEntropyKept<T>(memory, scored, weight.cols, weight.rows); },
          [&](Workspace& memory) {
            CrossEntropyGradients<T>(memory, scored, weight.cols, weight.rows);
          });
    });
  }
  void cross_entropy_forward(View loss, View x, View index, View targets, double scale,
                             const CrossEntropyHead& head, const Segments& segments,
                             const Dropout& dropout, Bytes saved, Bytes scratch) override {
    with_type(x.dtype, [&]<typename T>(T) {
      reference::cross_entropy_forward(typed<T>(loss).data, typed<T>(x),
                                       typed<const std::int32_t>(index),
                                       typed<const std::int32_t>(targets), scale, head, segments,
                                       dropout, forward_workspace(saved, scratch));
    });
  }
  void cross_entropy_backward(View dx, bool accumulate, double dloss, View x, View index,
                              View targets, double scale, const CrossEntropyHead& head,
                              const Segments& segments, const Dropout& dropout, Bytes saved,
                              Bytes scratch) override {
    with_type(x.dtype, [&]<typename T>(T) {
      reference::cross_entropy_backward(typed<T>(dx), accumulate, dloss, typed<T>(x),
                                        typed<const std::int32_t>(index),
                                        typed<const std::int32_t>(targets), scale, head, segments,
                                        dropout, Workspace(saved), Workspace(scratch));
    });
  }

  double squared_gradient_norm(const Parameters& parameters) override {
    return with_type(parameters.dtype(), [&]<typename T>(T) {
      const auto gradients = typed<const T>(parameters.gradients());
      double sum = 0;
      for (std::int64_t i = 0; i < gradients.size(); ++i) {
        sum += static_cast<double>(gradients.data[i]) * gradients.data[i];
      }
      return sum;
    });
  }
  void adamw(Parameters& parameters, const AdamWStep& step) override {
    with_type(parameters.dtype(), [&]<typename T>(T) {
      for (const Parameters::Entry& entry : parameters.entries()) {
        if (entry.options.frozen) continue;
        reference::adamw(typed<T>(parameters.values()).data + entry.offset,
                         typed<const T>(parameters.gradients()).data + entry.offset,
                         typed<T>(parameters.first_moments()).data + entry.offset,
                         typed<T>(parameters.second_moments()).data + entry.offset,
                         entry.rows * entry.cols, step, entry.options);
      }
    });
    zero_gradients(parameters);
  }
  void zero_gradients(Parameters& parameters) override { zero(parameters.gradients()); }

 private:
  static constexpr std::size_t kAlignment = 64;
  static const void* value_of(const Parameters& parameters, std::size_t entry) {
    return parameters.get(static_cast<int>(entry)).value.data;
  }
  bool in_int8(const Parameter& weight) const { return int8_.contains(weight.value.data); }

  std::set<const void*> int8_;  // weights of products whose both sides are of int8
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace barcodemae
