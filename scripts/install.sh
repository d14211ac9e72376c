# Installing what is missing, by apt. Sourced by ./dev.
# shellcheck shell=bash

# need KIND...: all packages of these kinds (scripts/packages.sh) are there afterwards, or the script ends.
need() {
  local kind package
  local -a missing=()
  for kind in "$@"; do
    local -n wanted="packages_$kind"
    for package in "${wanted[@]}"; do
      installed "$package" || missing+=("${package%:*}")
    done
  done
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# installed PACKAGE or PACKAGE:COMMAND
installed() {
  [[ $1 != *:* ]] || { command -v "${1#*:}" >/dev/null && return; }
  [ "$(dpkg-query -W -f '${db:Status-Status}' "${1%:*}" 2>/dev/null)" = installed ]
}

install_packages() {
  local -a as_root=()
  if ! command -v apt-get >/dev/null; then
    die "needs Debian 12 (or a system with its packages). Install the like of: $*"
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "as root, or with sudo installed, run: apt-get install $*"
    as_root=(sudo)
  fi
  say "installing by apt: $*"
  "${as_root[@]}" apt-get update -q
  keep_broker_stopped "${as_root[@]}" -- "$@"
}

# Debian starts a packaged service when it installs it. A broker that we bring must not sit on its port, so it is masked
# while it is being installed, and disabled, but no longer masked, afterwards.
keep_broker_stopped() {
  local -a as_root=() systemd=() brokers=()
  local broker
  while [ "$1" != -- ]; do as_root+=("$1"); shift; done
  shift
  for broker in mosquitto nats-server; do
    [[ " $* " != *" $broker "* ]] || brokers+=("$broker")
  done
  [ -d /run/systemd/system ] && systemd=("${as_root[@]}" systemctl)
  if [ ${#systemd[@]} -gt 0 ]; then
    for broker in "${brokers[@]}"; do "${systemd[@]}" mask "$broker.service"; done
  fi
  local status=0
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" || status=$?
  for broker in "${brokers[@]}"; do
    if [ ${#systemd[@]} -gt 0 ]; then
      "${systemd[@]}" unmask "$broker.service"
      "${systemd[@]}" disable --now "$broker.service" || true
    elif [ -x "/etc/init.d/$broker" ]; then
      "${as_root[@]}" "/etc/init.d/$broker" stop || true
    fi
  done
  [ $status -eq 0 ] || die "apt could not install: $*"
}

# The Python of the tests: a venv inside the clone with the pinned clients, made anew when the pins change.
need_venv() {
  local pins=$root/tests/e2e/requirements.txt stamp=$root/.cache/venv/requirements.txt
  cmp -s "$pins" "$stamp" && return
  say "making the Python environment of the tests in .cache/venv"
  rm -rf "$root/.cache/venv"
  /usr/bin/python3 -m venv "$root/.cache/venv"
  "$root/.cache/venv/bin/pip" install --quiet --disable-pip-version-check -r "$pins"
  cp "$pins" "$stamp"
}
