"""What is asked of a Kubernetes cluster, and what is made of its answers."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.execute import kubernetes as cluster

from mlform.demand import Demand
from mlform.execute.engine import Job, RefusedError, State
from mlform.execute.kubernetes import KubernetesEngine, KubernetesSettings, manifest, status

JOB = Job(
    "attempt-00000000000000001-0a1b2c3d", ("python3", "-m", "x", "f"), Path("/w/f"), Path("/w")
)
ALL = KubernetesSettings(
    image="registry.example/stage@sha256:0",
    namespace="ml",
    claim="shared",
    mount="/w",
    secrets=("one", "two"),
    service_account="stages",
    node_selector=("pool=gpu", "zone=a"),
    priority_class="low",
)
ASKS = Demand(cpu=1.5, gpu=2, memory=3 << 30, timeout=60.5)


@pytest.mark.skipif(bool(cluster.missing()), reason=cluster.missing())
@pytest.mark.parametrize("version", ["1.29", "1.34", "1.37"])
@pytest.mark.parametrize("demand", [Demand(), ASKS])
@pytest.mark.parametrize("settings", [KubernetesSettings(image="i"), ALL])
def test_a_manifest_is_one_by_the_schemas_of_kubernetes(version, demand, settings):
    import kubernetes_validate

    made = manifest(replace(JOB, demand=demand), settings)
    kubernetes_validate.validate(made, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**made, "spec": {"backofLimit": 0}}, version, strict=True)


def test_all_that_is_declared_is_asked_for():
    made = manifest(replace(JOB, demand=ASKS), ALL)
    assert made["metadata"]["name"] == JOB.id and made["metadata"]["namespace"] == "ml"
    spec = made["spec"]
    assert (spec["backoffLimit"], spec["parallelism"], spec["completions"]) == (0, 1, 1)
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["activeDeadlineSeconds"]) == ("Never", 3691)
    assert pod["nodeSelector"] == {"pool": "gpu", "zone": "a"}
    assert (pod["serviceAccountName"], pod["priorityClassName"]) == ("stages", "low")
    (container,) = pod["containers"]
    assert container["command"] == [*JOB.command, JOB.id]
    asked = {"cpu": "1500m", "memory": str(3 << 30), "nvidia.com/gpu": "2"}
    assert container["resources"] == {"requests": asked, "limits": asked}
    assert container["envFrom"] == [{"secretRef": {"name": n}} for n in ("one", "two")]
    assert all("value" in it for it in container["env"])
    assert container["volumeMounts"] == [{"name": "shared", "mountPath": "/w"}]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "shared"}


def test_nothing_of_the_environment_goes_along(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-3c1d")
    assert "canary" not in str(manifest(JOB, ALL))


def condition(type_, reason="", message=""):
    return {"type": type_, "status": "True", "reason": reason, "message": message}


def pod(phase, state=None, conditions=(), reason=None):
    containers = [] if state is None else [{"name": "stage", "state": state}]
    told = {"phase": phase, "conditions": list(conditions), "containerStatuses": containers}
    return {
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": told if reason is None else {**told, "reason": reason},
    }


def ended(code, reason="Error", **more):
    return {"terminated": {"exitCode": code, "reason": reason, **more}}


FAILED = condition("Failed", "BackoffLimitExceeded", "Job has reached the backoff limit")
UNFIT = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}
PULLS = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling "x"'}}
EVICTED = condition("DisruptionTarget", "TerminationByKubelet", "low on memory")
PREEMPTED = condition("DisruptionTarget", "PreemptionByScheduler")
TAINTED = condition("DisruptionTarget", "DeletionByTaintManager")


@pytest.mark.parametrize(
    ("conditions", "pods", "state", "said"),
    [
        ((), [], State.PENDING, "no pod yet"),
        ((condition("Suspended"),), [], State.PENDING, "suspended"),
        ((), [pod("Pending", None, [UNFIT])], State.PENDING, "Unschedulable: 0/3"),
        ((), [pod("Pending", PULLS)], State.PENDING, "ImagePullBackOff: Back-off"),
        ((), [pod("Running", {"running": {}})], State.RUNNING, ""),
        ((condition("FailureTarget"),), [pod("Failed", ended(1))], State.RUNNING, ""),
        ((), [pod("Unknown")], State.UNKNOWN, "does not answer"),
        ((condition("Complete"),), [pod("Succeeded", ended(0))], State.SUCCEEDED, "Complete"),
        ((condition("Complete"),), [], State.SUCCEEDED, "Complete"),
        ((FAILED,), [pod("Failed", ended(7))], State.FAILED, "exit code 7"),
        ((FAILED,), [pod("Failed", ended(137, signal=9))], State.FAILED, "signal 9"),
        ((FAILED,), [pod("Failed", ended(137, "OOMKilled"))], State.FAILED, "want of memory"),
        ((FAILED,), [pod("Failed", reason="DeadlineExceeded")], State.FAILED, "Deadline"),
        ((FAILED,), [pod("Failed", ended(143), [EVICTED])], State.LOST, "low on memory"),
        ((FAILED,), [pod("Failed", None, [PREEMPTED])], State.LOST, "PreemptionByScheduler"),
        ((FAILED,), [pod("Failed", None, [TAINTED])], State.LOST, "DeletionByTaintManager"),
        ((FAILED,), [pod("Failed", reason="Evicted")], State.LOST, "Evicted"),
        ((FAILED,), [pod("Failed", ended(137), reason="NodeShutdown")], State.LOST, "Shutdown"),
        ((FAILED,), [pod("Failed")], State.LOST, "not how its pod ended"),
        ((FAILED,), [], State.LOST, "its pod is gone"),
    ],
)
def test_what_a_cluster_says_of_a_job(conditions, pods, state, said):
    found = status({"status": {"conditions": list(conditions)}}, pods)
    assert found.state is state
    assert said in found.why


def test_who_is_not_let_in_is_told(tmp_path):
    server = cluster.Cluster()
    try:
        settings = replace(ALL, address=f"http://127.0.0.1:{server.port}")
        with pytest.raises(RefusedError, match=r"does not let us do that \(401\).*token_file"):
            KubernetesEngine(settings).submit(JOB)
        (tmp_path / "token").write_text(cluster.TOKEN)
        engine = KubernetesEngine(replace(settings, token_file=str(tmp_path / "token")))
        if not cluster.missing():
            with pytest.raises(RefusedError, match=r"is not of type|is no DNS label"):
                engine.submit(replace(JOB, id="Not_A_Label"))
        assert engine.poll({"job": "none"}).state is State.LOST
    finally:
        server.stop()
    assert engine.poll({"job": "none"}).state is State.UNKNOWN


def test_within_a_cluster_its_own_server_is_asked(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    found = KubernetesEngine(KubernetesSettings(image="i")).poll({"job": "x"})
    assert found.state is State.UNKNOWN
    assert "ca.crt" in found.why or "127.0.0.1:1" in found.why
