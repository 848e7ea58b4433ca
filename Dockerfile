# The command yolo3 in a container; the current folder is /work in it.
#   docker build -t yolo3 .                                                   # CPU
#   docker build -t yolo3:gpu --build-arg EXTRAS=gpu .                        # NVIDIA GPU: CUDA comes with TensorFlow's wheels
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" yolo3 train --data DATA
#   docker run --rm --gpus all -v "$PWD:/work" --user "$(id -u):$(id -g)" yolo3:gpu train --data DATA
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
ARG EXTRAS=tensorboard
COPY --from=build /wheels /wheels
# hadolint ignore=DL3013
RUN set -- /wheels/*.whl && pip install --no-cache-dir "$1[${EXTRAS}]" && rm -r /wheels \
    && install -d -m 1777 /work
# caches (shapes, fonts) of whatever user the container runs as
ENV HOME=/tmp XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/cache
USER 1000
WORKDIR /work
ENTRYPOINT ["yolo3"]
CMD ["--help"]
