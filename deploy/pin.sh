#!/bin/sh
# Name the images of docker-compose.yml by the digests that were pulled: writes docker-compose.override.yml, which Compose reads beside it.
# `docker compose pull` first; what is built here (vigie:local) has no digest and stays.
set -eu
cd "$(dirname "$0")/.."
out=docker-compose.override.yml
{
  echo "# Written by deploy/pin.sh: the images as they were pulled."
  echo "services:"
  docker compose -f docker-compose.yml config --images | sort -u | grep -v '^vigie:' | while read -r image; do
    digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "$image") || { echo "$image: not pulled yet (docker compose pull)" >&2; exit 1; }
    service=$(awk -v image="$image" '/^  [a-z]+:$/ { name = $1 } $1 == "image:" && $2 == image { sub(":", "", name); print name; exit }' docker-compose.yml)
    echo "  $service: {image: \"$digest\"}"
  done
} > "$out.new"
mv "$out.new" "$out"
echo "written: $out"
