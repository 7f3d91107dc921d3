# The images of perbench. Targets: operator, bench.
#
#   docker build --target operator -t REGISTRY/perbench/operator:VERSION .
#   buildah build --target bench -t REGISTRY/perbench/bench:VERSION .
#
# BASE_IMAGE needs Python 3.11 or newer with venv and pip. It is the base of both stages of each image, because a virtual
# environment points to the Python it was made with.
ARG BASE_IMAGE=docker.io/library/python:3.13-slim

# Tools that make an image and do not stay in it: the wheel's builder, the writer of the list of packages (SBOM).
FROM ${BASE_IMAGE} AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
COPY requirements/image.txt /requirements/image.txt
RUN python3 -m venv /tools && /tools/bin/pip install --quiet --require-hashes -r /requirements/image.txt
COPY LICENSE README.md pyproject.toml /source/
COPY perbench /source/perbench
COPY bench_pod /source/bench_pod
COPY operator /source/operator
RUN cd /source && /tools/bin/hatchling build --target wheel --directory /wheel

# The environment of one image: what is locked, then perbench itself, which may add nothing to it.
FROM tools AS operator-environment
COPY requirements/operator.txt /requirements/operator.txt
RUN python3 -m venv --without-pip /opt/perbench \
 && /tools/bin/pip --python /opt/perbench/bin/python install --quiet --no-compile --require-hashes --only-binary :all: -r /requirements/operator.txt \
 && /tools/bin/pip --python /opt/perbench/bin/python install --quiet --no-compile --no-deps /wheel/*.whl \
 && /tools/bin/pip --python /opt/perbench/bin/python check \
 && /tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o /opt/perbench/sbom.cdx.json /opt/perbench/bin/python

# What speaks to Grafana has an environment of its own, for its client takes the place of packages that the operator uses.
# What is the same in both is there once: the second is checked whole first, and then points to the operator's.
COPY requirements/grafana.txt /requirements/grafana.txt
RUN python3 -m venv --without-pip /opt/perbench-grafana \
 && /tools/bin/pip --python /opt/perbench-grafana/bin/python install --quiet --no-compile --require-hashes --only-binary :all: -r /requirements/grafana.txt \
 && /tools/bin/pip --python /opt/perbench-grafana/bin/python install --quiet --no-compile --no-deps /wheel/*.whl \
 && /tools/bin/pip --python /opt/perbench-grafana/bin/python check \
 && /tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o /opt/perbench-grafana/sbom.cdx.json /opt/perbench-grafana/bin/python \
 && cd /opt/perbench-grafana/lib/python3*/site-packages \
 && same=$(echo /opt/perbench/lib/python3*/site-packages) \
 && for each in *; do if diff -rq "$each" "$same/$each" > /dev/null 2>&1; then rm -r "$each" && ln -s "$same/$each" "$each"; fi; done \
 && /opt/perbench-grafana/bin/perbench grafana tell --help > /dev/null

FROM tools AS bench-environment
COPY requirements/bench.txt /requirements/bench.txt
RUN python3 -m venv --without-pip /opt/perbench \
 && /tools/bin/pip --python /opt/perbench/bin/python install --quiet --no-compile --require-hashes --only-binary :all: -r /requirements/bench.txt \
 && /tools/bin/pip --python /opt/perbench/bin/python install --quiet --no-compile --no-deps /wheel/*.whl \
 && /tools/bin/pip --python /opt/perbench/bin/python check \
 && /tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o /opt/perbench/sbom.cdx.json /opt/perbench/bin/python

# What both images have in common. They write nothing: no bytecode, no cache, no home.
FROM ${BASE_IMAGE} AS common
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/perbench/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp

FROM common AS bench
LABEL org.opencontainers.image.title="perbench bench pod" \
      org.opencontainers.image.description="Loads a language model server, scores its answers, reads its memory."
COPY --from=bench-environment /opt/perbench /opt/perbench
ENTRYPOINT ["perbench-bench"]

FROM common AS operator
LABEL org.opencontainers.image.title="perbench operator" \
      org.opencontainers.image.description="Runs PERBenchmarks in a Kubernetes cluster."
COPY --from=operator-environment /opt/perbench /opt/perbench
COPY --from=operator-environment /opt/perbench-grafana /opt/perbench-grafana
ENTRYPOINT ["perbench-operator"]
