"""The normative statements of MQTT 3.1.1 and 5, and black-box tests of them; see README.md."""

import pytest

covers = pytest.mark.covers
