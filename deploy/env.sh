#!/bin/sh
# Draw the secrets of docker-compose.yml and write them to .env; what is there is kept.
set -eu
cd "$(dirname "$0")/.."
drawn() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
touch .env
chmod go= .env
[ -z "$(tail -c 1 .env)" ] || echo >> .env
for name in VIGIE_READ_TOKEN VIGIE_METRICS_TOKEN GRAFANA_PASSWORD VALKEY_PASSWORD VIGIE_KAFKA_SETUP_PASSWORD VIGIE_KAFKA_WORKER_PASSWORD \
  VIGIE_KAFKA_WEB_PASSWORD VIGIE_KAFKA_PUBLISHER_PASSWORD; do
  grep -q "^$name=" .env || { echo "$name=$(drawn)" >> .env; echo "drawn into .env: $name"; }
done
