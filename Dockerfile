# train and batch as a container, for where Lambda's 15 minutes, 10 GB or 250 MiB end: the same library, handlers and locks.
#   make image
#   docker run --rm -e STILLGOOD_BUCKET=... -e STILLGOOD_PROMOTE_FUNCTION=... stillgood train '{"request_id": "by-hand-1"}'
#   docker run --rm -e STILLGOOD_BUCKET=... stillgood batch '{"input": "batch/input/customers.csv"}'
# The dependencies are installed outside, from hashed wheels (`make image`), so that the build needs no network and no compiler.
ARG BASE=python:3.13-slim
FROM ${BASE}
COPY .local/image/site /app/site
COPY layers/stillgood/stillgood /app/library/stillgood
COPY functions/run.py /app/functions/run.py
COPY functions/train/app.py /app/functions/train/app.py
COPY functions/predict/batch.py /app/functions/predict/batch.py
# One thread for each of the linear algebra's calls: the model's bytes must not depend on the machine.
ENV PYTHONPATH=/app/library:/app/site PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
# Nobody: the container writes nothing but to S3 and /tmp.
USER 65534:65534
WORKDIR /tmp
ENTRYPOINT ["python3", "/app/functions/run.py"]
