"""A Slurm cluster of one node on loopback: Debian's own daemons, for as long as a context lasts."""

import contextlib
import dataclasses
import getpass
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
_START_SECONDS = 30
_STOP_SECONDS = 20

# Neither cgroups nor accounting; more processors and memory than there may be, so that jobs fit; requeued jobs
# start after the life of a credential; the scheduler looks every second.
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=65536
PartitionName=all Nodes=ALL Default=YES
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running cluster."""

    environment: Mapping[str, str]  # in which Slurm's commands find it

    def run(self, *command: object, cwd: Path | None = None) -> str:
        """What a command prints; it must end well."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def jobs(self) -> list[dict[str, str]]:
        """All jobs that the controller remembers, as `scontrol` shows them: field to value."""
        lines = self.run("scontrol", "--oneliner", "show", "job").splitlines()
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if line.startswith("JobId=")]

    def wait(self, seconds: float) -> None:
        """Until no job waits or runs."""
        wait_until(lambda: not self.run("squeue", "--noheader"), seconds, "jobs have not ended", self.jobs)


def wait_until(
    is_true: Callable[[], object], seconds: float, problem: str, describe: Callable[[], object] = str
) -> None:
    """Asks again and again; fails with `problem` after so many seconds."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"{problem} after {seconds} s: {describe()}"
        time.sleep(0.1)


@contextlib.contextmanager
def running_cluster(folder: Path, environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Starts the daemons, with all their files in `folder`.

    Args:
        folder: an empty folder; its path is short, as it is of a socket's.
        environment: of the daemons and commands.
    """
    configuration = _configure(folder)
    cluster = Cluster(environment=environment | {"SLURM_CONF": str(configuration)})
    with contextlib.ExitStack() as stack:
        stack.enter_context(_daemon(cluster, folder, "munged", *_munge_options(folder)))
        wait_until((folder / "munge.socket").exists, _START_SECONDS, "munged has no socket")
        stack.enter_context(_daemon(cluster, folder, "slurmctld", "-D", "-f", configuration))
        stack.enter_context(_daemon(cluster, folder, "slurmd", "-D", "-f", configuration))
        stack.callback(_end_jobs, cluster)
        wait_until(lambda: _is_idle(cluster), _START_SECONDS, "no idle node", lambda: _read_logs(folder))
        yield cluster


def _configure(folder: Path) -> Path:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o400)
    controller_port, node_port = _free_ports(2)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            controller_port=controller_port,
            node_port=node_port,
        )
    )
    return configuration


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _munge_options(folder: Path) -> Sequence[str]:
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    return [
        "--foreground",
        "--force",
        *(f"--{option}={folder}/munge.{suffix}" for option, suffix in files.items()),
    ]


@contextlib.contextmanager
def _daemon(cluster: Cluster, folder: Path, name: str, *options: object) -> Iterator[None]:
    command = [name, *map(str, options)]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_idle(cluster: Cluster) -> bool:
    command = ["sinfo", "--noheader", "--format=%T"]
    done = subprocess.run(command, env=cluster.environment, capture_output=True, text=True, check=False)
    return done.stdout.strip() == "idle"


def _end_jobs(cluster: Cluster) -> None:
    """Their processes are not the daemons' and would outlive them."""
    cluster.run("scancel", "--user", getpass.getuser())
    cluster.wait(_STOP_SECONDS)


def _read_logs(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("*.log")))
