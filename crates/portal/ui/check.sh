#!/bin/sh
# Checks the portal's page: types, tests, and that dist/ is what its source builds. Needs Node 20.19 or newer and npm.
# `check.sh --update` keeps the fresh build, to be committed.
set -eu
cd "$(dirname "$0")"
if grep -q '"resolved"' package-lock.json; then
    echo "ui/package-lock.json records download addresses; delete the lines with \"resolved\"" >&2
    exit 1
fi
npm ci --no-audit --no-fund
npm run --silent check
npm run --silent test
if [ "${1:-}" = --update ]; then
    npm run --silent build
    exit 0
fi
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
npx --no-install vite build --logLevel warn --outDir "$fresh" --emptyOutDir
if ! diff -r "$fresh" ../dist; then
    echo "dist/ is not what ui/ builds: run crates/portal/ui/check.sh --update and commit dist/" >&2
    exit 1
fi
echo "dist/ is what ui/ builds"
