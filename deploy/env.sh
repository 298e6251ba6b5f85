#!/bin/sh
# Draw the secrets of docker-compose.yml and write them to .env; one that is there is kept.
set -eu
cd "$(dirname "$0")/.."
[ ! -e .env ] || { echo ".env is there already"; exit 0; }
drawn() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
for name in VIGIE_READ_TOKEN VIGIE_METRICS_TOKEN GRAFANA_PASSWORD; do
  echo "$name=$(drawn)"
done > .env
echo "written: .env"
