#!/bin/sh
# Erases from a Kafka all whom CRMs have asked to be erased: stops who works there, erases, and starts them again, whatever comes of
# it. For cron, a systemd timer or a CronJob; docs/privacy.md says how often, and has STOP and START for Compose and Kubernetes.
#
#   STOP="docker compose stop worker web" START="docker compose start worker web" sh deploy/erase.sh
#
# VIGIE is the command (vigie), TRIES how often it is tried, 6 s apart (10): who was killed stays in its group for some seconds.
set -u
: "${STOP:?what stops all workers and vigie web}" "${START:?what starts them again}"

trap 'exit 143' HUP INT TERM
trap 'ended=$?; sh -c "$START" || echo "erase.sh: could not start again: $START" >&2; exit $ended' EXIT
sh -c "$STOP" || { echo "erase.sh: could not stop: $STOP" >&2; exit 1; }
left=${TRIES:-10}
until ${VIGIE:-vigie} privacy erase --queued; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "erase.sh: not erased" >&2; exit 1; }
    sleep 6
done
