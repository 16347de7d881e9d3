// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "tensor/backend.h"

namespace barcodemae {

/// Plain loops on one thread, in float32 or float64 as the parameters and activations are: what
/// every op means, and what the other backends are tested against. Every sum is taken in double and
/// rounded once, when it is stored.
std::unique_ptr<Backend> make_reference_backend();

}  // namespace barcodemae
