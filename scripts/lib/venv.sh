# ensure_venv: makes .venv with exactly the packages of scripts/requirements.txt. Sourced after common.sh.

# The tooling runs on the distribution's own Python: its version is the one that the pinned wheels were chosen for.
ensure_venv() {
  local base=/usr/bin/python3 wanted
  [ -x "$base" ] || base=$(command -v python3) || fail "python3 is missing; run scripts/setup."
  wanted="$(sha256sum <"$root/scripts/requirements.txt") $root"
  [ "$(cat "$root/.venv/.complete" 2>/dev/null)" != "$wanted" ] || return 0
  say "making .venv: NumPy and onnx convert the model's weights (pinned in scripts/requirements.txt)"
  # A virtual environment holds its own path, so it is made in place; .complete is written last.
  rm -rf "$root/.venv"
  run_quietly "making .venv" "$base" -m venv "$root/.venv"
  run_quietly "pip install" "$python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
    --no-deps --require-hashes -r "$root/scripts/requirements.txt"
  printf '%s\n' "$wanted" >"$root/.venv/.complete"
}
