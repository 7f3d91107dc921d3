#!/usr/bin/env bash
# What the tests need besides Python: a browser for the report. Installed on Debian as root, named elsewhere.
set -euo pipefail
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing chromium (the report's page is tested in a real browser)"
  apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
  echo "chromium is missing: the tests of the report's page are skipped (Debian: apt-get install chromium)"
fi
