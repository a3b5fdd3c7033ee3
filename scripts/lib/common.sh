# What the scripts share. Sourced by bash; sets `root` to the top of the source tree and changes no directory.
set -euo pipefail
umask 022
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=$root/.venv/bin/python

say() { printf 'likeness: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
usage_fail() { say "$*"; exit 2; }

# usage SCRIPT: the comment at the top of a script is its help text.
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$1"; }

# Through sudo, only package installation needs root. Everything else runs as the person who called sudo, so that the
# files it makes in the tree belong to them. Does nothing when not root, or when the tree does not belong to them.
leave_sudo() {  # leave_sudo SCRIPT ARGUMENTS...
  [ "$(id -u)" = 0 ] && [ -n "${SUDO_UID:-}" ] && [ "$SUDO_UID" != 0 ] || return 0
  [ "$(stat -c %u "$root")" = "$SUDO_UID" ] || return 0
  local home
  home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
  exec setpriv --reuid="$SUDO_UID" --regid="$SUDO_GID" --init-groups \
    env -u SUDO_UID -u SUDO_GID HOME="${home:-/}" USER="$SUDO_USER" LOGNAME="$SUDO_USER" bash "$@"
}

# run_quietly WHAT COMMAND...: the command's output is shown only when it fails.
run_quietly() {
  local what=$1 log status=0
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  [ "$status" = 0 ] || { tail -n 40 "$log" >&2; say "$what failed (exit code $status); what it said is above."; }
  rm -f "$log"
  return "$status"
}

# One at a time in a tree: two demonstrations that start together do not make the same folder at once. Scripts that are
# called by the holder are let through.
lock_tree() {
  [ -z "${LIKENESS_TREE_LOCKED:-}" ] || return 0
  exec 9<"$root/scripts/setup"
  flock --nonblock 9 || { say "waiting for another set-up of this tree"; flock 9; }
  export LIKENESS_TREE_LOCKED=1
}

# How many compilers to run at once: one a core, but no more than one for each 1.5 GiB of memory that is free.
build_jobs() {
  local cores free_mib limit
  cores=$(nproc)
  free_mib=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
  case $limit in
    '' | *[!0-9]*) ;;
    *) limit=$((limit / 1048576)); [ "$limit" -ge "$free_mib" ] || free_mib=$limit ;;
  esac
  local by_memory=$((free_mib / 1536))
  [ "$by_memory" -ge 1 ] || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}
