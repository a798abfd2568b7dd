"""Command line: `python3 -m localkube up|down|status|kubeconfig|env|images|build|control-plane`."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from localkube import addons, background, binaries, images, paths, target
from localkube.binaries import BuildError
from localkube.box import UnsupportedMachineError, require_machine
from localkube.cluster import Cluster, known
from localkube.controlplane import ControlPlane
from localkube.process import StartError
from localkube.progress import say
from localkube.target import TargetError


def _up(options: argparse.Namespace) -> None:
    Cluster(options.name).up(options.port)


def _down(options: argparse.Namespace) -> None:
    target.release(options.name)


def _status(options: argparse.Namespace) -> None:
    clusters = [Cluster(name).status() for name in known()]
    if options.json:
        print(json.dumps(clusters, indent=1))
        return
    for status in clusters:
        print(f"{status['name']}: {'running' if status['running'] else 'stopped'}")
        if status["running"]:
            print(f"  API         {status['api']}")
            print(f"  pages       {status['pages']}")
            print(f"  KUBECONFIG  {status['kubeconfig']}")
    if not clusters:
        print("no local cluster; `make cluster` starts one")


def _kubeconfig(options: argparse.Namespace) -> None:
    print(Cluster(options.name).kubeconfig)


def _env(options: argparse.Namespace) -> None:
    current = options.name == target.CURRENT
    config = target.kubeconfig_of_current() if current else Cluster(options.name).kubeconfig
    if not config.exists():
        raise ValueError(f"cluster {options.name} does not run: start it with `make cluster`")
    _print_environment(config, "kubectl", "helm")


def _print_environment(config: Path, *programs: str) -> None:
    """Lines for a shell: the cluster, and the programs for it."""
    folders = [str(path.parent) for path in binaries.ensure(*programs).values()]
    print(f"export KUBECONFIG={shlex.quote(str(config))}")
    print(f'export PATH={shlex.quote(":".join(folders))}:"$PATH"')


def _images(options: argparse.Namespace) -> None:
    names = options.images or images.APPLICATIONS
    if unknown := sorted(set(names) - set(images.IMAGES)):
        raise ValueError(f"no image {', '.join(unknown)}: there are {', '.join(images.IMAGES)}")
    box = Cluster(options.name).box
    if options.push:
        references = images.push(names, options.push)
    elif box.pid is None:
        say(f"cluster {options.name} does not run: images are built and not imported")
        references = images.build_all(names)
    else:
        references = images.import_images(box, names)
    if options.json:
        print(json.dumps(references, indent=1))
        return
    for name, reference in references.items():
        print(f"{name:<24}{reference}")


def _build(_: argparse.Namespace) -> None:
    binaries.ensure(*binaries.CONTROL_PLANE, *binaries.NODE, *binaries.TOOLS)
    try:
        require_machine()
    except UnsupportedMachineError as missing:
        say(f"no images are built: {missing}")
        return
    images.build_all([*addons.IMAGES, *images.APPLICATIONS])


def _control_plane_up(options: argparse.Namespace) -> None:
    _print_environment(background.up(Path(options.folder).resolve()), "kubectl")


def _control_plane_down(options: argparse.Namespace) -> None:
    background.down(Path(options.folder).resolve())


def _control_plane_run(options: argparse.Namespace) -> None:
    # Ends like Ctrl-C does: what was started is stopped first.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with contextlib.suppress(KeyboardInterrupt), ControlPlane(Path(options.folder).resolve()) as running:
        print(f"export KUBECONFIG={shlex.quote(str(running.kubeconfig))}", flush=True)
        say("the control plane runs until this command is stopped (Ctrl-C)")
        signal.pause()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localkube", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default="demo", help="the cluster's name (default: demo)")

    up = commands.add_parser("up", parents=[named], help="start a cluster, or make sure that it runs")
    up.add_argument("--port", type=int, default=8080, help="of 127.0.0.1, for its pages (default: 8080)")
    up.set_defaults(run=_up)
    commands.add_parser("down", parents=[named], help="stop it and leave nothing behind").set_defaults(
        run=_down
    )
    status = commands.add_parser("status", help="what runs, and where")
    status.add_argument("--json", action="store_true", help="for scripts")
    status.set_defaults(run=_status)
    kubeconfig = commands.add_parser("kubeconfig", parents=[named], help="print the kubeconfig's path")
    kubeconfig.set_defaults(run=_kubeconfig)
    env = commands.add_parser(
        "env", parents=[named], help='print what puts kubectl and the cluster at hand: eval "$(… env)"'
    )
    env.set_defaults(run=_env)
    built = commands.add_parser("images", parents=[named], help="build and import changed images")
    built.add_argument("images", nargs="*", help="default: the applications")
    built.add_argument("--json", action="store_true", help="print name and reference as JSON")
    built.add_argument("--push", metavar="REGISTRY", help="push to it instead of importing")
    built.set_defaults(run=_images)
    commands.add_parser("build", help="build what tests need, so that they do not wait for it").set_defaults(
        run=_build
    )
    plane = commands.add_parser("control-plane", help="etcd, API server and controllers; no root, no pods")
    actions = plane.add_subparsers(required=True, metavar="action")
    for action, what, run in (
        ("up", "start it in the background, or make sure that it runs", _control_plane_up),
        ("down", "stop it and remove its folder", _control_plane_down),
        ("run", "run it until this command is stopped", _control_plane_run),
    ):
        command = actions.add_parser(action, help=what)
        default = str(paths.state() / "control-plane")
        command.add_argument("folder", nargs="?", default=default, help=f"its data, keys, logs ({default})")
        command.set_defaults(run=run)
    return parser


def main() -> int:
    """Run a command; what goes wrong is said in a line that tells what to do."""
    options = _parser().parse_args()
    try:
        options.run(options)
    except (
        UnsupportedMachineError,
        BuildError,
        StartError,
        images.ImageError,
        TargetError,
        ValueError,
    ) as error:
        say(f"localkube: {error}")
        return 1
    except subprocess.CalledProcessError as error:
        say(f"localkube: {' '.join(map(str, error.cmd))[:200]} failed:\n{(error.stderr or '')[-3000:]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
