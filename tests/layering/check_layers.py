"""Checks what no compiler does: which module includes what, and how long files are.

    check_layers.py ROOT        prints each violation; exit status 1 if there is one

- A module uses only modules above it in src/CMakeLists.txt; a front end uses no other front end.
- sim/ stands aside: it uses base and runtime, and only tests and fuzz targets use it.
- Some system and third-party headers belong to few modules (OWNERS): RocksDB to table, Asio to nobody. What the simulation
  must control (files, sockets, threads, randomness) reaches the other modules through base and runtime.
- No source file is longer than LINES_MAX.
"""

import re
import sys
from pathlib import Path

FRONT_ENDS = {"mqtt", "kafka", "http"}
TEST_SUFFIXES = ("_test", "_fuzz")
LINES_MAX = 700

# Pattern of a header -> the modules that may include it, besides tests and fuzz targets.
OWNERS = {
    r"boost/asio.*": set(),
    r"boost/beast.*": {"http", "net"},
    r"toml\+\+/.*": {"access", "server"},
    r"librdkafka/.*": {"cli", "kafka_stream"},
    r"mosquitto\.h|curl/.*": {"cli"},
    r"rocksdb/.*": {"table"},
    r"openssl/.*": {"net", "access"},
    r"sys/(socket|epoll)\.h|netinet/.*|arpa/inet\.h|netdb\.h": {"runtime", "cli"},
    r"fcntl\.h|unistd\.h|fstream|random": {"base", "runtime", "kafka_stream", "cli", "server"},
    r"filesystem": {"base", "runtime", "kafka_stream", "cli", "server", "sim"},
    r"mutex": {"base", "runtime", "kafka_stream", "table", "cli", "server"},
    r"thread|condition_variable|future": {"base", "runtime", "kafka_stream", "cli", "server"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def module_order(root):
    text = (root / "src/CMakeLists.txt").read_text()
    return re.findall(r"^add_subdirectory\((\w+)\)", text, re.MULTILINE)


def may_use(user, used, order):
    if user == used:
        return True
    if user == "sim":
        return used in ("base", "runtime")
    if user in FRONT_ENDS and used in FRONT_ENDS:
        return False
    return used != "sim" and order.index(used) < order.index(user)


def check_include(module, is_test, header, ours, order):
    used = header.split("/")[0]
    if ours and used in order:
        if used == "sim" and is_test:
            return None
        return None if may_use(module, used, order) else f"{module} must not use {used}"
    if is_test:
        return None
    for pattern, owners in OWNERS.items():
        if re.fullmatch(pattern, header) and module not in owners:
            return f"<{header}> belongs to {', '.join(sorted(owners)) or 'no module'}"
    return None


def check(root):
    """All violations below root/src, as 'path:line: text'."""
    order = module_order(root)
    violations = []
    for path in sorted((root / "src").glob("*/**/*")):
        if path.suffix not in (".h", ".cc"):
            continue
        name = path.relative_to(root)
        lines = path.read_text().splitlines()
        if len(lines) > LINES_MAX:
            violations.append(f"{name}: {len(lines)} lines, more than {LINES_MAX}")
        is_test = path.stem.endswith(TEST_SUFFIXES)
        for number, line in enumerate(lines, 1):
            if match := INCLUDE.match(line):
                header = match[1] or match[2]
                wrong = check_include(name.parts[1], is_test, header, bool(match[1]), order)
                if wrong:
                    violations.append(f"{name}:{number}: {wrong}")
    return violations


def main():
    violations = check(Path(sys.argv[1]))
    print("\n".join(violations) or "no violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
