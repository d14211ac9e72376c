#pragma once

#include "table/row.h"
#include "table/slot.h"

namespace sluice::table {

// Lays the overlay over what the store found of `range`, as far as that goes.
void merge_overlay(Portion& stored, const Slot::Overlay& overlay, const Range& range);

}  // namespace sluice::table
