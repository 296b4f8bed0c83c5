#!/usr/bin/env bash
# A job that signac refuses stays behind as an empty folder, and no job of the project can be found any more.
#
# Version:     signac 2.4.1
# Expectation: open_job() with a parameter that signac does not take is an error that changes nothing: the
#              other jobs are found as before.
# Behaviour:   a key with a dot (`gain.db`) is refused only after the folder of the job is made. From then
#              on find_jobs() with any filter raises JobsCorruptedError, in every process, and repair()
#              raises the same. The folder has to be deleted by hand.
# Seen:        find_jobs({"a": 1}): 1 job; init() of {"gain.db": 3}: InvalidKeyError; find_jobs and
#              repair: JobsCorruptedError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet signac==2.4.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import logging
import os
import sys

import signac
from signac.errors import JobsCorruptedError

logging.disable(logging.CRITICAL)
project = signac.init_project(sys.argv[1])
project.open_job({"a": 1}).init()
assert len(project.find_jobs({"a": 1})) == 1
try:
    project.open_job({"gain.db": 3}).init()
except Exception as error:
    print("init:", type(error).__name__, error)
else:
    raise SystemExit("the key with a dot was taken")
folders = os.listdir(os.path.join(sys.argv[1], "workspace"))
print("folders of jobs:", len(folders))
assert len(folders) == 2
project = signac.get_project(sys.argv[1])
for name, call in {"find_jobs": lambda: len(project.find_jobs({"a": 1})), "repair": project.repair}.items():
    try:
        call()
    except JobsCorruptedError as error:
        print(name + ":", type(error).__name__, error)
    else:
        raise SystemExit(name + " worked")
PY
