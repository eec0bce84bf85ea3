#!/usr/bin/env bash
# Train on several GPUs of one or more machines: tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT say more than one machine.
set -euo pipefail
if [[ $# -lt 2 ]]; then
    echo "usage: tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]" >&2
    exit 2
fi
config=$1
gpus=$2
shift 2
exec python3 -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$gpus" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${MASTER_PORT:-29500}" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
