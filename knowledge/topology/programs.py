"""What program a command line runs, and what to call it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from executor.secrets import look_secret, plain
from knowledge.topology.processes import Process

_INTERPRETER = re.compile(r"(python|pypy|node|nodejs|ruby|perl|php|java|bun|deno|sh|bash|dash|uv|tini|dumb-init)[\d.]*")
_APP_SERVERS = frozenset({"uvicorn", "gunicorn", "hypercorn", "waitress-serve", "waitress", "daphne", "granian"})
_SAYS_NOTHING = frozenset(
    {"app", "main", "server", "service", "index", "run", "wsgi", "asgi", "manage", "__main__", "start", "web", "api"}
)
_ROLE_OPTIONS = ("--service", "--name", "--role", "--app", "--server-name")
_NAMED_BY_ENVIRONMENT = ("OTEL_SERVICE_NAME", "SERVICE_NAME")
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]*")
_VALUE_OPTIONS = frozenset({"-W", "-X"})


@dataclass(frozen=True)
class Program:
    """What a process runs. Two processes with equal ``key`` run the same program."""

    key: tuple[str, ...]
    name: str
    """Readable and a legal name of the contract."""
    fallback: str
    """Longer name, for when two different programs share ``name``."""
    words: tuple[str, ...]
    """Names by which its technology may be known."""
    match: str
    """Text of the command line that tells it from other programs."""
    script: Path | None = None


def program(process: Process) -> Program:
    """The program behind a command line, looking through interpreters, ``-m`` and application servers."""
    argv = _kept(process)
    if process.container:
        words = (process.name, *(PurePath(argument).name for argument in argv))
        name, own = process.container.service, process.container.name
        return Program((process.container.engine, name), legal(name), legal(own), words, "")
    index = 0
    while index < len(argv) - 1 and _INTERPRETER.fullmatch(PurePath(argv[index]).name):
        step = _first_argument(argv, index + 1)
        if step is None:
            break
        index = step
    named = next((process.environment[key] for key in _NAMED_BY_ENVIRONMENT if process.environment.get(key)), None)
    if argv[index] == "-m" and index + 1 < len(argv):
        found = _module(process, argv[index + 1], argv[index + 2 :])
    else:
        found = _file(process, argv[index], argv[index + 1 :])
    if named is None:
        return found
    return Program((*found.key, named), legal(named), found.fallback, found.words, found.match, found.script)


def _kept(process: Process) -> tuple[str, ...]:
    """Its arguments without what looks like a secret, which a process may have written into its title too."""
    title, *rest = process.argv
    return (process.name if look_secret(title.split()) else title, *plain(rest))


def legal(text: str) -> str:
    """``text`` as a name of the contract: lower case, dots and dashes, at most 63 characters."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:63] or "service"


def _first_argument(argv: tuple[str, ...], start: int) -> int | None:
    """Index of the interpreter's script or of ``-m``; ``None`` for ``-c`` and the like."""
    index = start
    while index < len(argv):
        argument = argv[index]
        if argument == "-m" or not argument.startswith("-"):
            return index
        if argument in ("-c", "-e"):
            return None
        index += 2 if argument in _VALUE_OPTIONS else 1
    return None


def _module(process: Process, module: str, rest: tuple[str, ...]) -> Program:
    if module.split(".")[0] in _APP_SERVERS or module == "flask":
        return _application(process, module.split(".")[0], rest)
    role = _role(rest)
    parts = [part for part in module.split(".") if part not in _SAYS_NOTHING] or [module]
    # the standard library's own modules (http.server) say nothing by their last part alone
    name = module if module == "http.server" else parts[-1]
    return Program(
        key=("-m", module, process.cwd, role),
        name=legal(role or name),
        fallback=legal(f"{module}-{role}" if role else module),
        words=(module, parts[-1]),
        match=_shortest(process, f"-m {module}", role, rest),
    )


def _file(process: Process, argument: str, rest: tuple[str, ...]) -> Program:
    path = PurePath(process.cwd) / argument
    stem = re.sub(r"\.(py|js|mjs|ts|rb|pl|php|jar|sh)$", "", path.name)
    if _INTERPRETER.fullmatch(path.name):  # -c or -e: the code has no name, and its text is nobody's business
        return Program((str(path), process.command), legal(stem), legal(stem), (), "", None)
    stem = stem.split(":")[0].strip() or process.name
    if stem in _APP_SERVERS or stem == "flask":
        return _application(process, stem, rest)
    role = _role(rest) if stem != path.name else ""
    owner = path.parent.name
    name = owner if stem in _SAYS_NOTHING and owner else stem
    script = Path(path) if stem != path.name else None
    return Program(
        key=(str(path), role),
        name=legal(role or name),
        fallback=legal(f"{stem}-{role}" if role else f"{owner}-{stem}"),
        words=(stem,),
        match=_shortest(process, PurePath(argument).name, role, rest),
        script=script,
    )


def _application(process: Process, server: str, rest: tuple[str, ...]) -> Program:
    """``uvicorn orders.main:app``, ``flask --app catalog run``: the application gives the name."""
    target = next((a for a in rest if re.fullmatch(r"[\w.]+:[\w()]+", a)), None)
    if target is None and "--app" in rest[:-1]:
        target = rest[rest.index("--app") + 1]
    if target is None:
        return Program((server, process.cwd), legal(server), legal(PurePath(process.cwd).name), (server,), server)
    module = target.split(":")[0].removesuffix(".py")
    parts = [part for part in re.split(r"[./]", module) if part and part not in _SAYS_NOTHING]
    name = parts[-1] if parts else PurePath(process.cwd).name
    return Program((server, target, process.cwd), legal(name), legal(module), (server,), target)


def _role(rest: tuple[str, ...]) -> str:
    """What tells processes of one script apart: ``service.py catalog`` or ``service.py --service catalog``."""
    for option in _ROLE_OPTIONS:
        for index, argument in enumerate(rest):
            if argument.startswith(option + "="):
                return _without_number(argument.split("=", 1)[1])
            if argument == option and index + 1 < len(rest):
                return _without_number(rest[index + 1])
    return rest[0] if rest and _WORD.fullmatch(rest[0]) else ""


def _without_number(text: str) -> str:
    return re.sub(r"[-_.]?\d+$", "", text) if _WORD.match(text) else ""


def _shortest(process: Process, text: str, role: str, rest: tuple[str, ...]) -> str:
    """``text`` with the role if it follows at once, as long as the command line contains it so."""
    longer = f"{text} {rest[0]}" if role and rest and rest[0] == role else text
    return longer if longer in process.command else text
