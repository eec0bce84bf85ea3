"""One plugin as this process found it: its manifest, its state, and why."""

from __future__ import annotations

import enum
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from handzoo.plugins.manifest import Manifest, Provided


class PluginState(str, enum.Enum):
    """What became of a plugin."""

    OK = "ok"
    INCOMPATIBLE = "incompatible"  # its range of versions leaves this HandZoo out
    FAILED = "failed"  # its manifest or its code raised
    SHADOWED = "shadowed"  # another plugin of the same name was found first
    DISABLED = "disabled"  # by HANDZOO_DISABLE_PLUGINS


_VERBS = {
    PluginState.INCOMPATIBLE: "is incompatible",
    PluginState.FAILED: "failed",
    PluginState.SHADOWED: "is shadowed",
    PluginState.DISABLED: "is disabled",
}


@dataclass
class Plugin:
    """A plugin that was found, whatever its state.

    Attributes:
        name: from the manifest; the entry point's name if the manifest cannot be read.
        origin: how it was found, for people: a distribution, a folder, an option.
        manifest: None if it cannot be read.
        distribution: name of the installed distribution; empty for a plugin that is not one.
        version: of the plugin.
        state: see :class:`PluginState`.
        reason: a sentence on any state but ok.
        error: the exception behind ``failed``.
        search_path: folder that has to be on ``sys.path`` for its code; None if it is installed.
    """

    name: str
    origin: str
    manifest: Manifest | None = None
    distribution: str = ""
    version: str = ""
    state: PluginState = PluginState.OK
    reason: str = ""
    error: BaseException | None = None
    search_path: Path | None = None
    loaded: dict[tuple[str, str], object] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether its classes may be asked for."""
        return self.state is PluginState.OK

    @property
    def provides(self) -> tuple[Provided, ...]:
        """Its classes, empty if the manifest cannot be read."""
        return self.manifest.provides if self.manifest is not None else ()

    def find(self, role: str, name: str) -> Provided | None:
        """The class that it provides for this role under this name."""
        for entry in self.provides:
            if (entry.part, entry.name) == (role, name):
                return entry
        return None

    def fail(self, error: BaseException, doing: str) -> None:
        """Record that ``doing`` raised."""
        self.state = PluginState.FAILED
        self.error = error
        self.reason = f"{doing}: {type(error).__name__}: {error}"

    @property
    def complaint(self) -> str:
        """What is wrong, to end a sentence that said that it is there; empty if nothing is."""
        if self.usable:
            return ""
        end = "" if self.reason.endswith((".", "?")) else "."
        return f"but that plugin {_VERBS[self.state]}: {self.reason}{end}"

    @property
    def traceback(self) -> str:
        """The stored traceback; empty unless it failed."""
        if self.error is None:
            return ""
        return "".join(traceback.format_exception(self.error))
