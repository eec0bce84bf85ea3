"""The ``handzoo`` command. Each subcommand is a function in the room that it belongs to.

Nothing is imported before a subcommand is chosen, so that ``handzoo list`` starts at once.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence

import handzoo
from handzoo.errors import HandZooError, suggest

# Subcommand -> module:function(argv) -> exit code, and what it does.
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("handzoo.engine.train_cli:main", "train a model"),
    "test": ("handzoo.engine.test_cli:main", "evaluate a checkpoint on a data set"),
    "infer": ("handzoo.apis.infer:main", "hands in images, folders and videos"),
    "list": ("handzoo.zoo.cli:main_list", "the models of the zoo"),
    "info": ("handzoo.zoo.cli:main_info", "everything about one model"),
    "evaluate": ("handzoo.evaluation.evaluate_cli:main", "figures of a submission file"),
    "benchmark": ("handzoo.evaluation.benchmark_cli:main", "parameters, MACs, latency, FPS"),
    "roofline": ("handzoo.evaluation.roofline:main", "operations, bytes and time by layer"),
    "compare": ("handzoo.zoo.compare:main", "several models on one benchmark, with a report"),
    "browse": ("handzoo.apis.browse:main", "look at annotated, augmented samples"),
    "label-gestures": ("handzoo.apis.label_gestures:main", "label gestures from 3D joints"),
    "benchmark-data": ("handzoo.apis.benchmark_data:main", "pictures a second of a pipeline"),
    "synthesize": ("handzoo.synthesis.cli:main", "render a data set of hands"),
    "export": ("handzoo.apis.export:main", "write a model as ONNX"),
    "publish": ("handzoo.zoo.publish:main", "turn a checkpoint into published weights"),
    "convert": ("handzoo.zoo.convert.command:main", "an author's checkpoint as ours"),
    "plugins": ("handzoo.plugins.cli:main", "list, check and make plugins"),
    "print-config": ("handzoo.engine.print_config:main", "a config with all its bases merged"),
    "analyze-logs": ("handzoo.engine.analyze_logs:main", "curves of training logs"),
}


def available() -> dict[str, tuple[str, str]]:
    """The subcommands whose code is part of this copy."""
    return {name: row for name, row in COMMANDS.items() if _exists(row[0].partition(":")[0])}


def _exists(module: str) -> bool:
    """Whether a module can be found, without importing its package."""
    base = os.path.join(os.path.dirname(handzoo.__file__), *module.split(".")[1:])
    return os.path.isfile(base + ".py") or os.path.isfile(os.path.join(base, "__init__.py"))


def usage() -> str:
    """What ``handzoo --help`` prints."""
    lines = ["usage: handzoo COMMAND [arguments]    (handzoo COMMAND --help says more)", ""]
    lines += [f"  {name:<14} {text}" for name, (_, text) in available().items()]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; ``sys.argv`` if omitted.

    Returns:
        Exit code: 0 all went well, 2 the user can cure what went wrong, else what the subcommand
        says.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"handzoo {handzoo.__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in available():
        hint = suggest(name, available())
        print(f"handzoo: there is no command {name!r}. {hint}\n\n{usage()}", file=sys.stderr)
        return 2
    target = COMMANDS[name][0]
    return run(lambda: _function(target)(rest))


def _function(target: str) -> Callable[[Sequence[str]], int | None]:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def run(command: Callable[[], int | None]) -> int:
    """Call a command and turn errors that a user can cure into a message and exit code 2.

    HANDZOO_DEBUG=1 lets them through with their traceback.
    """
    try:
        return int(command() or 0)
    except HandZooError as error:
        if os.environ.get("HANDZOO_DEBUG"):
            raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        cause = error.__cause__
        if cause is not None and str(cause) not in str(error):
            print(f"  caused by {type(cause).__name__}: {cause}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def tool(name: str) -> None:
    """Body of ``tools/<name>.py``: the same as the subcommand, then exit."""
    sys.exit(main([name, *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
