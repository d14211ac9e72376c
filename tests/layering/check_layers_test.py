"""check_layers must be able to fail: each rule against a small tree that breaks it."""

import tempfile
import unittest
from pathlib import Path

from check_layers import check

ORDER = "".join(f"add_subdirectory({m})\n" for m in "base runtime hub mqtt kafka http cli server sim".split())


class CheckLayers(unittest.TestCase):
    def violations(self, path, text):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            file = root / path
            file.parent.mkdir(parents=True)
            file.write_text(text)
            (root / "src/CMakeLists.txt").write_text(ORDER)
            return check(root)

    def assert_wrong(self, path, text, part):
        found = self.violations(path, text)
        self.assertEqual(len(found), 1, found)
        self.assertIn(part, found[0])

    def assert_right(self, path, text):
        self.assertEqual(self.violations(path, text), [])

    def test_a_module_uses_what_is_above_it(self):
        self.assert_right("src/hub/a.cc", '#include "base/result.h"\n#include "hub/a.h"\n')
        self.assert_wrong("src/base/a.cc", '// x\n#include "hub/hub.h"\n', "src/base/a.cc:2: base must not use hub")

    def test_front_ends_do_not_know_each_other(self):
        self.assert_wrong("src/kafka/a.h", '#include "mqtt/a.h"\n', "kafka must not use mqtt")

    def test_a_test_may_not_look_upwards_either(self):
        self.assert_wrong("src/base/a_test.cc", '#include "hub/hub.h"\n', "base must not use hub")

    def test_the_simulation_is_for_tests(self):
        self.assert_right("src/hub/a_test.cc", '#include "sim/loop.h"\n')
        self.assert_right("src/mqtt/a_fuzz.cc", '#include "sim/loop.h"\n')
        self.assert_wrong("src/server/a.cc", '#include "sim/loop.h"\n', "server must not use sim")
        self.assert_wrong("src/sim/a.cc", '#include "hub/hub.h"\n', "sim must not use hub")

    def test_headers_with_an_owner_stay_there(self):
        self.assert_right("src/table/a.cc", "#include <rocksdb/db.h>\n")
        self.assert_wrong("src/hub/a.h", "#  include <rocksdb/db.h>\n", "belongs to table")
        self.assert_wrong("src/runtime/a.cc", "#include <boost/asio.hpp>\n", "belongs to no module")
        self.assert_wrong("src/hub/a.cc", "#include <thread>\n", "belongs to base")

    def test_files_stay_short(self):
        self.assert_right("src/hub/a.cc", "\n" * 700)
        self.assert_wrong("src/hub/a.cc", "\n" * 701, "701 lines")


if __name__ == "__main__":
    unittest.main()
