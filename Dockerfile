# syntax=docker/dockerfile:1
# A wheel built in one stage and installed in another: no compiler, no source tree and no pip cache in what runs.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/vigie
# Dependencies first: they change less often than the code, and this layer is the slow one.
COPY requirements requirements
RUN /opt/vigie/bin/pip install --require-hashes -r requirements/run.txt
COPY pyproject.toml setup.py README.md ./
COPY models models
COPY alert_rules alert_rules
COPY stream stream
COPY agents agents
COPY vigie vigie
COPY docs/runbooks docs/runbooks
RUN /opt/vigie/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/vigie/bin/pip install --no-deps /wheels/vigie-*.whl \
 && /opt/vigie/bin/vigie --help > /dev/null

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Vigie" \
      org.opencontainers.image.description="The lookout for sales teams: exact rolling KPIs and explained alerts" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 vigie \
 && useradd --system --uid 10001 --gid vigie --home-dir /var/lib/vigie --create-home --shell /usr/sbin/nologin vigie
COPY --from=build /opt/vigie /opt/vigie
ENV PATH=/opt/vigie/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VIGIE_DATA_DIR=/var/lib/vigie \
    VIGIE_WEB__HOST=0.0.0.0 \
    VIGIE_WEB__PORT=8080
USER vigie
WORKDIR /var/lib/vigie
VOLUME /var/lib/vigie
EXPOSE 8080
# The last checkpoint is written, and the group left, on SIGTERM.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"VIGIE_WEB__PORT\"]}/healthz', timeout=2)"]
ENTRYPOINT ["vigie"]
CMD ["up"]
