"""``handzoo print-config``: a config with all its bases and options merged."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Print the merged config, or one part of it."""
    parser = argparse.ArgumentParser(prog="handzoo print-config", description=__doc__)
    parser.add_argument("config", help="config file or model name")
    parser.add_argument("--key", help="print only this part, such as model.mesh_head")
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE")
    parser.add_argument("--plugin", action="append", default=[], metavar="MODULE|PATH")
    parser.add_argument("--no-check", action="store_true", help="print a config that is wrong")
    args = parser.parse_args(argv)
    from mmengine.config import Config

    from handzoo.engine.config import config_text, load_config
    from handzoo.errors import ConfigError, suggest

    cfg = load_config(args.config, args.cfg_options, args.plugin, check=not args.no_check)
    if args.key is None:
        print(config_text(cfg))
        return 0
    node = cfg
    for depth, key in enumerate(args.key.split(".")):
        if isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, (dict, Config)) and key in node:
            node = node[key]
        else:
            names = list(node) if isinstance(node, (dict, Config)) else []
            here = ".".join(args.key.split(".")[: depth + 1])
            raise ConfigError(f"--key: there is no {here}. {suggest(key, names)}")
    print(config_text(Config({args.key.rsplit(".", 1)[-1]: node})))
    return 0
