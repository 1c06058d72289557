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
COPY models/fast/7 models/fast/7
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
# A volume that is mounted here for the first time takes its owner over.
RUN install -d -o 10001 -g 10001 /var/lib/karyometer
# A number, because Kubernetes' runAsNonRoot cannot judge a name.
USER 10001:10001

FROM runtime AS training
COPY --from=build-training /opt/venv /opt/venv
COPY --from=files-training /srv/karyometer .
ENTRYPOINT ["python", "-m", "training"]
CMD ["--help"]

FROM runtime AS service
# It starts only with KARYOMETER_API_KEYS_FILE, or with KARYOMETER_ALLOW_ANONYMOUS=true.
ENV KARYOMETER_HOST=0.0.0.0 \
    KARYOMETER_DATA=/var/lib/karyometer
# For `dask scheduler` and `dask worker`, which the same image starts: workers have processes of their own for reading
# files, an image that kills its worker is not tried again without Karyometer's knowing, and nothing is shown on a web page.
ENV DASK_DISTRIBUTED__WORKER__DAEMON=False \
    DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0 \
    DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES=[] \
    DASK_DISTRIBUTED__WORKER__HTTP__ROUTES=[]
EXPOSE 8000
# Docker may hand its client's proxy to every container, and a proxy cannot reach this loopback.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["python", "-c", "\
from urllib.request import ProxyHandler, build_opener; \
build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["python", "-m", "app.cli", "serve"]

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
