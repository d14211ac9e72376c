#include "base/result.h"

namespace sluice {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::malformed:
      return "malformed";
    case Errc::invalid:
      return "invalid";
    case Errc::too_large:
      return "too_large";
    case Errc::unsupported:
      return "unsupported";
    case Errc::not_found:
      return "not_found";
    case Errc::exists:
      return "exists";
    case Errc::busy:
      return "busy";
    case Errc::out_of_range:
      return "out_of_range";
    case Errc::disk_full:
      return "disk_full";
    case Errc::io:
      return "io";
    case Errc::corrupt:
      return "corrupt";
    case Errc::closed:
      return "closed";
    case Errc::unauthorized:
      return "unauthorized";
    case Errc::duplicate:
      return "duplicate";
    case Errc::sequence_gap:
      return "sequence_gap";
    case Errc::producer_fenced:
      return "producer_fenced";
  }
  return "unknown";
}

}  // namespace sluice
