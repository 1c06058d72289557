FROM python:3.11-slim-bookworm AS build
ENV PIP_PYTHON=/opt/venv/bin/python \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
# No pip inside, so that nothing can be installed into a running container.
RUN python -m venv --without-pip /opt/venv

# Wheels only: building a source distribution would fetch build tools that no lock pins.
FROM build AS build-cpu
RUN --mount=type=bind,source=requirements/service.lock,target=/tmp/service.lock \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --only-binary :all: -r /tmp/service.lock

FROM build AS build-bio
RUN --mount=type=bind,source=requirements/bio.lock,target=/tmp/bio.lock \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --only-binary :all: -r /tmp/bio.lock

FROM build AS build-gpu
RUN --mount=type=bind,source=requirements/gpu.lock,target=/tmp/gpu.lock \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --only-binary :all: -r /tmp/gpu.lock

FROM build AS build-training
RUN --mount=type=bind,source=requirements/training.lock,target=/tmp/training.lock \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --only-binary :all: -r /tmp/training.lock

# The checkout may keep its files from other users, and a read-only root cannot take byte code later.
FROM build AS files
WORKDIR /srv/karyometer
COPY LICENSE .
# The shipped model alone; others are mounted, and named by KARYOMETER_MODEL.
COPY models/fast/5 models/fast/5
COPY app app
RUN chmod -R a+rX,go-w . && python -m compileall -q app

FROM files AS files-training
COPY training training
RUN chmod -R a+rX,go-w training && python -m compileall -q training

FROM python:3.11-slim-bookworm AS runtime
# The user has no home; caches of Matplotlib, Keras and CUDA go where a read-only container can still write.
ENV PATH="/opt/venv/bin:$PATH" \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /srv/karyometer
# A number, because Kubernetes' runAsNonRoot cannot judge a name.
USER 10001:10001

FROM runtime AS training
COPY --from=build-training /opt/venv /opt/venv
COPY --from=files-training /srv/karyometer .
ENTRYPOINT ["python", "-m", "training"]
CMD ["--help"]

FROM runtime AS service
# It starts only with KARYOMETER_API_KEYS_FILE, or with KARYOMETER_ALLOW_ANONYMOUS=true.
ENV KARYOMETER_HOST=0.0.0.0
EXPOSE 8000
# Docker may hand its client's proxy to every container, and a proxy cannot reach this loopback.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["python", "-c", "\
from urllib.request import ProxyHandler, build_opener; \
build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/health/ready', timeout=4)"]
# What a killed process left in /tmp, which outlives a restart, would fill the disk.
CMD ["sh", "-c", "rm -rf /tmp/karyometer-* && exec python -m app.cli serve"]

FROM service AS gpu
# Without it, what the NVIDIA runtime mounts depends on how the host has set it up.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build-gpu /opt/venv /opt/venv
COPY --from=files /srv/karyometer .

FROM service AS bio
COPY --from=build-bio /opt/venv /opt/venv
COPY --from=files /srv/karyometer .

FROM service AS cpu
COPY --from=build-cpu /opt/venv /opt/venv
COPY --from=files /srv/karyometer .
