// SPDX-License-Identifier: MIT
// The processes of one job as one of them sees the others. This header knows neither MPI nor
// anything else of ours: it is all that a plugin (src/communication/mpi/) shares with the program.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace barcodemae {

/// `size()` processes that run the same program on parts of the same work. Every call but abort()
/// is collective: all processes make the same calls in the same order, from one thread each. What a
/// sum returns has the same bits in all processes, and again in the next job with as many of them.
class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator() = default;  ///< collective too
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual std::string library() const = 0;  ///< what carries the messages, for the log
  virtual int rank() const = 0;             ///< 0 … size() − 1; 0 writes files and messages
  virtual int size() const = 0;
  /// Processes of the job on this machine, this one included: they share its memory.
  virtual int processes_on_machine() const = 0;
  /// Those of them that may run on a core that this process may run on, this one included.
  virtual int processes_on_cores() const = 0;

  /// Adds up element by element; every process gets the sums.
  virtual void sum(std::span<double> values) = 0;
  /// Every process gets the bytes of rank 0.
  virtual void broadcast(void* data, std::size_t bytes) = 0;
  /// Rank 0 gets everybody's bytes, in the order of ranks; the others get nothing.
  virtual std::vector<std::vector<std::byte>> gather(std::span<const std::byte> part) = 0;

  /// As sum(), in place and in the background, on memory of the backend: several may be under way,
  /// and are carried out in the order in which they were started. Until finish_sums() returned,
  /// the values belong to the communicator and no other collective call may be made.
  virtual void start_sum(float* values, std::size_t count) = 0;
  virtual void finish_sums() = 0;
  /// Seconds that background sums took so far, waiting for other processes included.
  virtual double seconds_in_sums() const = 0;
  /// Seconds that finish_sums() held up the work after it: the part of them that nothing hid.
  virtual double seconds_waited() const = 0;

  /// Ends all processes of the job, whatever they are doing. From any thread.
  [[noreturn]] virtual void abort(int exit_code) noexcept = 0;
};

/// What a plugin exports as `extern "C"` under kPluginFactory: joins the job, or returns null and
/// says in `error` why not. `interface` is the caller's kPluginInterface with its version; a plugin
/// of another build refuses.
using PluginFactory = Communicator*(const char* interface, std::string& error);
inline constexpr const char* kPluginFactory = "barcodemae_make_communicator";
/// To be raised with every change of the class above.
inline constexpr const char* kPluginInterface = "barcodemae communicator 2, version ";

}  // namespace barcodemae
