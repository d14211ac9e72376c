#pragma once

#include <functional>

#include "base/result.h"

namespace sluice {

// Work that is done once, later. Per batch or per request, never per message (the message path
// allocates nothing).
using Task = std::move_only_function<void()>;

template <class T>
using Done = std::move_only_function<void(Result<T>)>;

}  // namespace sluice
