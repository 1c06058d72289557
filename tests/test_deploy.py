"""What runs Karyometer elsewhere: the image, compose, Kubernetes, Slurm."""

import ast
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.api.metrics import Metrics
from app.experiments import cluster
from app.settings import Settings

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
FOLDER = ROOT / "deploy" / "kubernetes"
MANIFESTS = {
    f"{path.name}-{number}": manifest
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for number, manifest in enumerate(yaml.safe_load_all(path.read_text()))
}
WORKLOADS = {name: one for name, one in MANIFESTS.items() if one["kind"] in ("Deployment", "StatefulSet")}
# What the image says of itself.
IMAGE = dict(re.findall(r"(?:^ENV|^   ) ([A-Z_]+)=(\S+)", DOCKERFILE, re.MULTILINE))
DATA = IMAGE["KARYOMETER_DATA"]
TEMPORARY = "/tmp"


def of_kind(kind: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in MANIFESTS.values() if one["kind"] == kind}


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("version", ["1.34", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS)
def test_manifests_are_valid(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_the_kustomization_names_every_manifest() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert set(kustomization["resources"]) == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    namespaces = {one["metadata"].get("namespace", one["metadata"]["name"]) for one in MANIFESTS.values()}
    assert namespaces == {kustomization["namespace"]}


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_pods_are_confined(workload: dict[str, Any]) -> None:
    assert workload["spec"]["selector"]["matchLabels"] == workload["spec"]["template"]["metadata"]["labels"]
    spec = pod(workload)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    confined = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == confined
    assert container["resources"]["limits"]["memory"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    there = {volume["name"] for volume in spec["volumes"]}
    there |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
    assert set(mounted) == there
    assert TEMPORARY in mounted.values()
    if container["image"] == "karyometer":
        user = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[-1]
        context = spec["securityContext"]
        assert (str(context["runAsUser"]), str(context["fsGroup"])) == user


def test_the_service_and_its_workers_share_the_data() -> None:
    assert of_kind("ConfigMap")["karyometer"]["data"]["KARYOMETER_DATA"] == DATA
    (claim,) = of_kind("PersistentVolumeClaim").values()
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for name in ("karyometer", "karyometer-worker"):
        spec = pod(of_kind("Deployment")[name])
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        (mount,) = (one for one in spec["containers"][0]["volumeMounts"] if one["mountPath"] == DATA)
        assert volumes[mount["name"]]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert not mount.get("readOnly")


def test_pods_find_each_other() -> None:
    labels = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in WORKLOADS.values()}
    for name, service in of_kind("Service").items():
        assert service["spec"]["selector"] == labels[name]
    policies = of_kind("NetworkPolicy")
    assert policies["nobody"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for name in labels:
        assert policies[name]["spec"]["podSelector"]["matchLabels"] == labels[name]


def test_workers_scale_with_a_metric_that_there_is() -> None:
    (scaler,) = of_kind("HorizontalPodAutoscaler").values()
    assert scaler["spec"]["scaleTargetRef"]["name"] in of_kind("Deployment")
    assert "replicas" not in of_kind("Deployment")[scaler["spec"]["scaleTargetRef"]["name"]]["spec"]
    (metric,) = scaler["spec"]["metrics"]
    assert metric["external"]["metric"]["name"] in {family.name for family in Metrics().registry.collect()}


def test_compose_keeps_experiments_in_volumes_that_outlive_containers() -> None:
    own: list[str] = []
    for name, service in COMPOSE["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        named = {one.partition(":")[2]: one.partition(":")[0] for one in service["volumes"] if isinstance(one, str)}
        assert set(named.values()) <= set(COMPOSE["volumes"]), name
        targets = {one["target"] for one in service["volumes"] if isinstance(one, dict)}
        assert TEMPORARY in targets | set(service.get("tmpfs", ())), name
        if name.startswith("karyometer"):
            assert DATA in named, name
        if name.startswith("karyometer") and "command" not in service:
            own.append(named[DATA])
    # A service takes what another measures with another model for its own otherwise.
    assert len(set(own)) == len(own) == 4
    assert f"install -d -o 10001 -g 10001 {DATA}" in DOCKERFILE


def test_a_cluster_starts_whole() -> None:
    in_profile = {name: one for name, one in COMPOSE["services"].items() if one.get("profiles") == ["cluster"]}
    started, wanted = set(), {"karyometer-cluster"}
    while wanted:
        name = wanted.pop()
        started.add(name)
        wanted |= set(in_profile[name].get("depends_on", ())) - started
    assert started == set(in_profile)
    assert COMPOSE["networks"]["cluster"]["internal"]
    assert [name for name, one in in_profile.items() if "ports" in one] == ["karyometer-cluster"]


def test_dask_is_set_up_alike_everywhere() -> None:
    wanted = cluster._CONFIGURATION
    said = {name: ast.literal_eval(IMAGE[variable(name)]) for name in wanted}
    assert said == wanted
    slurm = ast.parse((ROOT / "deploy" / "slurm" / "cluster.py").read_text())
    (configured,) = (one.value for one in slurm.body if isinstance(one, ast.AnnAssign))
    assert configured is not None
    assert ast.literal_eval(configured) == wanted


def variable(name: str) -> str:
    """Of the environment."""
    return f"DASK_{name.replace('.', '__').replace('-', '_').upper()}"


def test_what_is_beyond_one_machine_is_encrypted() -> None:
    pods = of_kind("ConfigMap")["karyometer"]["data"]
    service, worker, scheduler = (
        COMPOSE["services"][name] for name in ("karyometer-cluster", "karyometer-worker", "dask-scheduler")
    )
    for environment in (pods, worker["environment"], scheduler["environment"], service["environment"]):
        tls = {name.partition("TLS__")[2] for name in environment if "COMM__TLS" in name}
        roles = {f"{role}__{part}" for role in ("SCHEDULER", "WORKER", "CLIENT") for part in ("CERT", "KEY")}
        assert tls == {"CA_FILE", *roles}
        assert environment["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "True"
    secrets = {f"/run/secrets/{name}" for name in service["secrets"]}
    assert {value for name, value in service["environment"].items() if "COMM__TLS" in name} == secrets
    (container,) = pod(of_kind("Deployment")["karyometer"])["containers"]
    inside = {one["name"]: one.get("value") for one in container["env"]}
    assert inside["KARYOMETER_DASK_SCHEDULER"] == service["environment"]["KARYOMETER_DASK_SCHEDULER"]
    assert inside["KARYOMETER_DASK_SCHEDULER"] == "tls://dask-scheduler:8786"


def test_workers_and_schedulers_are_started_alike_everywhere() -> None:
    for name in ("karyometer-worker", "dask-scheduler"):
        (container,) = pod(of_kind("Deployment")[name])["containers"]
        assert container["command"] == COMPOSE["services"][name]["command"].split()
    assert COMPOSE["services"]["karyometer-worker"]["command"] in (ROOT / "docs" / "experiments.md").read_text()


def test_settings_that_are_named_exist() -> None:
    files = [
        ROOT / "Dockerfile",
        ROOT / "docker-compose.yml",
        *(ROOT / "deploy").rglob("*.yaml"),
        *(ROOT / "deploy").rglob("*.py"),
        ROOT / "docs/experiments.md",
    ]
    named = {name for path in files for name in re.findall(r"\bKARYOMETER_([A-Z_]+)\b", path.read_text())}
    assert named - {"API_KEY"} <= {name.upper() for name in Settings.model_fields}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_certificates_let_their_holders_in_and_nobody_else(tmp_path: Path) -> None:
    folders = [tmp_path / "ours", tmp_path / "theirs"]
    script = ROOT / "deploy" / "certificates"
    for folder in folders:
        subprocess.run([script, folder], check=True, capture_output=True)
    ours, theirs = folders
    shake(contexts(ours, ssl.Purpose.CLIENT_AUTH), contexts(ours, ssl.Purpose.SERVER_AUTH))
    for server, client in ((ours, theirs), (theirs, ours)):
        with pytest.raises(ssl.SSLError):
            shake(contexts(server, ssl.Purpose.CLIENT_AUTH), contexts(client, ssl.Purpose.SERVER_AUTH))
    assert ours.stat().st_mode & 0o777 == 0o700
    before = (ours / "tls.key").read_bytes()
    assert subprocess.run([script, ours], capture_output=True).returncode == 2
    assert (ours / "tls.key").read_bytes() == before


def contexts(folder: Path, purpose: ssl.Purpose) -> ssl.SSLContext:
    """As Dask makes them: each side asks for the other's certificate, and names do not matter."""
    context = ssl.create_default_context(purpose, cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def shake(of_server: ssl.SSLContext, of_client: ssl.SSLContext) -> None:
    """Connect two sides in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = of_server.wrap_bio(to_server, to_client, server_side=True)
    client = of_client.wrap_bio(to_client, to_server)
    for side in (client, server, client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
