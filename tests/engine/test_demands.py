"""Where stages run, as specs say it: read, planned, carried out, taken up after a kill."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.world import World
from tests.execute.processes import alive, until

from mlform.apply.devices import Devices
from mlform.apply.room import room
from mlform.apply.walk import Room, walk
from mlform.demand import Capacity, Demand
from mlform.diagnostics import DiagnosedError

NODE = 'training_job "node" "a" {{\n{0}\n}}\n'


def wrong(tmp_path, inside, settings_=""):
    with pytest.raises(DiagnosedError) as raised:
        World(tmp_path).plan(f"mlform {{\n{settings_}\n}}\n" + NODE.format(inside))
    return [(d.summary, d.detail, d.subject) for d in raised.value.diagnostics.errors]


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ('executor = "clustr"', 'no executor "clustr". Did you mean "cluster"?'),
        ('pool = "gpus"', 'no pool "gpus". Did you mean "gpu"?'),
        ("resources { cpu = 0 }", "`cpu` is a number of cores above 0, not 0."),
        (
            "resources { gpu = 1.5 }",
            "a whole number of GPUs, or a share of one such as 0.5, not 1.5",
        ),
        ("resources { gpu = -0.5 }", "a whole number of GPUs, or a share of one such as 0.5"),
        ('executor = "cluster"\nresources { gpu = 0.5 }', '["--gres=shard:1"]'),
        ('executor = "pods"\nresources { gpu = 0.5 }', '"nvidia.com/gpu.shared"'),
        ("resources { cpus = 1 }", 'no "cpus". Did you mean "cpu"?'),
        ('resources { memory = "much" }', 'a size such as "16GiB", not "much"'),
        ('timeout = "soon"', 'a time such as "90s"'),
        ("retry { attempts = 0 }", "a whole number from 1 to 100"),
        ('retry { on = ["lots"] }', "a list of lost, transient, timeout, error"),
        (
            'executor = "cluster"\nresources { memory = "65GiB" }',
            'executor "cluster" has for one stage: memory = 65 GiB of 64 GiB',
        ),
        ("resources { cpu = 4096 }", "cpu = 4096 of"),
        ("resources { gpu = 4096 }", 'executor "local" "local" { gpu = 4096 }'),
    ],
)
def test_what_is_wrong_is_said_where_it_is_written(tmp_path, inside, said):
    declared = 'executor "slurm" "cluster" { memory = "64GiB" }\npool "gpu" { slots = 1 }'
    declared += '\nexecutor "kubernetes" "pods" { image = "stages:1" }'
    found = wrong(tmp_path, inside, declared)
    assert [True for _, detail, at in found if said in detail and at.line > 4], found


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('executor "slrm" "x" {}', 'no executor "slrm". Did you mean "slurm"?'),
        ('executor "slurm" "x" { partitio = "a" }', 'Did you mean "partition"?'),
        ('executor "ray" "x" { address = "head" }', "an address such as"),
        ('executor "slurm" "local" {}', "always there"),
        ('pool "x" { slots = 0 }', "no slot"),
        ('pool "x" {}\npool "x" {}', "already"),
    ],
)
def test_what_is_wrong_with_an_executor(tmp_path, written, said):
    assert any(said in detail for _, detail, _ in wrong(tmp_path, "", written))


def test_changing_where_it_runs_runs_nothing(tmp_path):
    world = World(tmp_path)
    world.apply(NODE.format("value = 1"))
    asks = 'value = 1\ntimeout = "2h"\nresources { cpu = "1" }\nretry { attempts = 3 }'
    assert world.actions(NODE.format(asks)) == {}
    step = world.plan(NODE.format(asks)).steps[0]
    assert step.demand == Demand(cpu=1, timeout=7200, attempts=3)


def test_a_share_of_a_gpu_is_less_than_the_one_there_is(tmp_path):
    there = 'mlform {\nexecutor "local" "local" { gpu = 1 }\n}\n'
    spec = there + NODE.format("resources { gpu = 0.25 }")
    step = World(tmp_path).plan(spec).steps[0]
    assert step.demand == Demand(gpu=0.25)
    assert Demand.of(json.loads(json.dumps(step.demand.as_data()))) == step.demand
    found = wrong(tmp_path, "resources { gpu = 0.25 }", 'executor "local" "local" { gpu = 0 }')
    assert any("gpu = 0.25 of 0" in detail for _, detail, _ in found)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30),
    st.integers(1, 4),
)
@settings(max_examples=25, deadline=None)
def test_no_more_runs_at_once_than_there_is_room_for(asked, lanes):
    """Each key takes CPUs (0 to 3 of 3) and holds a pool (0: none) of one slot."""
    now, lock, wrong_ = {"cpu": 0, "pool 1": 0, "pool 2": 0, "lane": 0}, threading.Lock(), []
    sizes = {"cpu": 3, "pool 1": 1, "pool 2": 1, "lane": lanes}

    def takes(key):
        cpu, pool = asked[key]
        return {"lane": 1, "cpu": cpu} | ({f"pool {pool}": 1} if pool else {})

    def run(key):
        for sign in (1, -1):
            with lock:
                for name, amount in takes(key).items():
                    now[name] += sign * amount
                    if now[name] > sizes[name]:
                        wrong_.append((key, name))
        return True

    room = Room(sizes, takes, lambda _key: "lane", 8)
    needs = {k: frozenset() for k in range(len(asked))}
    assert walk(needs, run, room=room, stop=threading.Event()) == set()
    assert not wrong_


@pytest.mark.parametrize(("type_", "full"), [("process", {"cpu"}), ("slurm", set())])
def test_stages_on_this_machine_share_it_whatever_executor_they_name(tmp_path, type_, full):
    """A process that outlives mlform takes of the same cores as a worker does."""
    spec = f"""
mlform {{
  executor "local" "local" {{ cpu = 2 }}
  executor "{type_}" "other" {{}}
}}
training_job "node" "a" {{
  for_each = {{ local = 1, other = 2 }}
  executor = each.key
  resources {{ cpu = each.value }}
}}
"""
    plan = World(tmp_path).plan(spec)
    shared = room(plan, 4, Capacity(cpu=64), (), lambda number: plan.steps[number])
    shared.take(0)
    assert shared.full(shared.takes(1)) == full


def test_a_stage_larger_than_this_machine_is_refused_on_process_too(tmp_path):
    found = wrong(
        tmp_path, 'executor = "own"\nresources { cpu = 4096 }', 'executor "process" "own" {}'
    )
    assert any("cpu = 4096 of" in detail for _, detail, _ in found)


AMOUNTS = st.sampled_from([1, 2, 3, 1 / 2, 1 / 3, 1 / 4, 0.1, 0.7])


@given(
    st.integers(1, 3), st.lists(st.tuples(AMOUNTS, st.booleans()), max_size=25), st.integers(1, 8)
)
@settings(max_examples=40, deadline=None)
def test_no_device_is_lent_beyond_the_whole_of_it(number, asked, lanes):
    """Some keys ask for devices or a share of one, and some hold a slot of a pool beside that."""
    names, lock, now, order, wrong_ = "abc"[:number], threading.Lock(), {}, [], []

    def takes(key):
        amount, holds = asked[key]
        return {"lane": 1, "gpu": min(amount, number)} | ({"pool": 1} if holds else {})

    class Watched(Room):
        def take(self, key):
            left = {n: 1 - sum(min(a, 1) for a, ds in now.values() if n in ds) for n in names}
            super().take(key)
            amount, given = takes(key)["gpu"], self.devices.of(key)
            now[key] = amount, given
            order.append(key)
            if amount < 1:
                (one,) = given
                enough = [rest for rest in left.values() if rest > amount - 1e-6]
                assert left[one] == pytest.approx(min(enough)), "another was fuller, and had room"
            else:
                assert [left[n] for n in given] == [1] * amount, "not all of them were free"

        def give(self, key):
            del now[key]
            super().give(key)

    def run(key):
        with lock:
            if not room.devices.of(key):
                wrong_.append(key)
        return True

    sizes = {"pool": 2, "lane": lanes}
    room = Watched(sizes, takes, lambda _key: "lane", 8, devices=Devices(names))
    needs = {k: frozenset() for k in range(len(asked))}
    assert walk(needs, run, room=room, stop=threading.Event()) == set()
    assert not wrong_
    overtaken = [k for n, k in enumerate(order) if not asked[k][1] and max(order[: n + 1]) > k]
    assert not overtaken, "what waits for devices alone keeps them from all behind it"


PROVIDER = """
import os, time
from pathlib import Path
from mlform.sdk import Arguments, Attributes, Provider, Resource, ResourceError


class WaitArguments(Arguments):
    text: str = ""


class WaitAttributes(Attributes):
    said: str


class Wait(Resource[WaitArguments, WaitAttributes], kind="dataset", type="wait"):
    def apply(self, ctx, new, old):
        with (ctx.root / "runs").open("a") as file:
            file.write(f"{os.getpid()}\\n")
        if new.text.startswith("busy") and len((ctx.root / "runs").read_text().split()) < 3:
            raise ResourceError("Busy", "not now", transient=True)
        seen = f"{new.text} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n"
        with (ctx.root / "seen").open("a") as file:
            file.write(f"+ {seen}")
        while new.text.startswith("wait") and not (ctx.root / "go").exists():
            ctx.checkpoint()
            time.sleep(0.01)
        if new.text == "grow":
            return WaitAttributes(said=str(len(bytearray(1 << 30))))
        with (ctx.root / "seen").open("a") as file:
            file.write(f"- {seen}")
        return WaitAttributes(said=new.text)


class Waits(Provider):
    def resources(self):
        return [Wait()]
"""


@pytest.fixture
def program(tmp_path):
    """Runs ``mlform`` in a folder with a provider whose stage waits until it is told to go on."""
    info = tmp_path / "lib" / "waits-1.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "lib" / "waits.py").write_text(PROVIDER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: waits\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[mlform.providers]\nwaits = waits:Waits\n")
    path = os.pathsep.join([str(tmp_path / "lib"), *sys.path])

    def start(*arguments, spec=None):
        if spec is not None:
            (tmp_path / "main.mlf.hcl").write_text(spec)
        return subprocess.Popen(
            [sys.executable, "-m", "mlform", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    yield start
    (tmp_path / "go").touch()


WAITS = 'mlform {{\n executor "process" "own" {{}}\n}}\ndataset "wait" "a" {{\n{0}\n}}\n'
APPLY = ("apply", "-auto-approve")


def ran(root):
    return [int(p) for p in (root / "runs").read_text().split()]


def test_a_killed_apply_leaves_its_job_to_the_next(program, tmp_path):
    spec = WAITS.format('text = "wait"\nexecutor = "own"')
    first = program(*APPLY, spec=spec)
    until(lambda: (tmp_path / "runs").exists() or first.poll() is not None)
    assert first.poll() is None, first.communicate()[0]
    first.kill()
    first.communicate()
    assert alive(ran(tmp_path)[0])
    second = program(*APPLY)
    (tmp_path / "go").touch()
    said, _ = second.communicate()
    assert second.returncode == 0, said
    assert len(ran(tmp_path)) == 1
    plan = program("plan", "-detailed-exitcode")
    assert plan.communicate()[0] and plan.returncode == 0


def test_a_local_stage_that_was_over_when_mlform_was_killed_is_not_run_again(
    program, tmp_path, monkeypatch
):
    (tmp_path / "go").touch()
    monkeypatch.setenv("MLFORM_FAILPOINTS", "apply.called:1:kill")
    first = program(*APPLY, spec='dataset "wait" "a" { text = "wait" }')
    said, _ = first.communicate()
    assert first.returncode == -signal.SIGKILL, said
    monkeypatch.delenv("MLFORM_FAILPOINTS")
    second = program(*APPLY)
    said, _ = second.communicate()
    assert second.returncode == 0, said
    assert "came off before" in said
    assert len(ran(tmp_path)) == 1


def test_a_job_that_is_to_do_other_work_is_ended(program, tmp_path):
    first = program(*APPLY, spec=WAITS.format('text = "wait"\nexecutor = "own"'))
    until(lambda: (tmp_path / "runs").exists() or first.poll() is not None)
    assert first.poll() is None, first.communicate()[0]
    first.kill()
    first.communicate()
    second = program(*APPLY, spec=WAITS.format('text = "other"\nexecutor = "own"'))
    said, _ = second.communicate()
    assert second.returncode == 0, said
    earlier, later = ran(tmp_path)
    assert earlier != later
    until(lambda: not alive(earlier))


def test_a_job_that_nobody_can_end_is_told(program, tmp_path):
    first = program(*APPLY, spec=WAITS.format('text = "wait"\nexecutor = "own"'))
    until(lambda: (tmp_path / "runs").exists() or first.poll() is not None)
    assert first.poll() is None, first.communicate()[0]
    first.kill()
    first.communicate()
    second = program(*APPLY, spec='dataset "wait" "a" {\n  text = "other"\n}\n')
    said, _ = second.communicate()
    assert second.returncode == 1, said
    assert "Earlier job" in said
    assert "executor own, which is not declared any more" in said
    assert len(ran(tmp_path)) == 1
    (tmp_path / "go").touch()
    until(lambda: not alive(ran(tmp_path)[0]))


HALVES = """
mlform {
  executor "local" "local" { gpu = 2 }
}
dataset "wait" "half" {
  for_each = toset(["1", "2", "3", "4"])
  text     = "wait for half ${each.key}"
  resources { gpu = 0.5 }
}
dataset "wait" "whole" {
  for_each = { one = 1, two = 2 }
  text     = "whole ${each.value}"
  resources { gpu = each.value }
}
dataset "wait" "none" { text = "none" }
"""


@pytest.mark.parametrize("visible", ["GPU-1f,GPU-2e,GPU-3d", ""])
def test_stages_share_gpus_and_see_what_is_theirs(program, tmp_path, monkeypatch, visible):
    """Where fewer can be seen than are declared, those go by number."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    there = set(visible.split(",")[:2]) if visible else {"0", "1"}
    started = program(*APPLY, "-parallelism", "8", spec=HALVES)
    seen = tmp_path / "seen"

    def begun():
        return seen.exists() and seen.read_text().count("half") == 4

    until(lambda: begun() or started.poll() is not None)
    (tmp_path / "go").touch()
    said, _ = started.communicate()
    assert started.returncode == 0, said
    holders = {name: {} for name in there}
    for line in seen.read_text().splitlines():
        sign, *name, devices = line.split(" ")
        if name == ["none"]:
            assert devices == visible, "who declares none sees what the environment says"
            continue
        had, share = devices.split(","), 0.5 if "half" in name else 1
        assert len(had) == (int(name[1]) if share == 1 else 1)
        for device in had:
            if sign == "+":
                holders[device][tuple(name)] = share
                assert sum(holders[device].values()) <= 1
            else:
                del holders[device][tuple(name)]
    assert "whole" not in "".join(seen.read_text().splitlines()[:4])


def test_what_is_transient_is_tried_again_and_an_error_is_not(program, tmp_path):
    retry = 'text = "{0}"\nretry {{\n attempts = 3\n backoff = "1ms"\n}}'
    done = program(*APPLY, spec=WAITS.format(retry.format("busy")))
    said, _ = done.communicate()
    assert done.returncode == 0, said
    assert len(ran(tmp_path)) == 3
    journal = list(Path(tmp_path / ".mlform" / "work").glob("*/attempt-*"))
    assert len(journal) == 3, "each attempt has a folder of its own"


def test_what_takes_too_much_memory_is_told_what_it_may(program):
    grow = 'text = "grow"\nresources {\n memory = "64MiB"\n}'
    said, _ = program(*APPLY, spec=WAITS.format(grow)).communicate()
    assert "Out of memory" in said
    assert "more than the 64 MiB that its resources allow" in said


def test_what_takes_too_long_is_stopped(program, tmp_path):
    done = program(*APPLY, spec=WAITS.format('text = "wait"\ntimeout = "200ms"'))
    said, _ = done.communicate()
    assert done.returncode == 1
    assert "Timed out" in said
    assert "not done after 0.2 s" in said
    runs = tmp_path / "runs"  # it may not even have come so far
    until(lambda: not runs.exists() or not alive(ran(tmp_path)[0]))
