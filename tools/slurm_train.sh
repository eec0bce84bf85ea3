#!/usr/bin/env bash
# Train with Slurm: tools/slurm_train.sh PARTITION JOB CONFIG [arguments of train.py]
# GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (8) and SRUN_ARGS may be set.
set -euo pipefail
if [[ $# -lt 3 ]]; then
    echo "usage: tools/slurm_train.sh PARTITION JOB CONFIG [arguments of tools/train.py]" >&2
    exit 2
fi
partition=$1
job=$2
config=$3
shift 3
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-8}
[[ $per_node -gt $gpus ]] && per_node=$gpus
# shellcheck disable=SC2086  # SRUN_ARGS holds several words
exec srun -p "$partition" --job-name="$job" --gres="gpu:$per_node" --ntasks="$gpus" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-8}" --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} python3 -u "$(dirname "$0")/train.py" "$config" --launcher slurm "$@"
