"""Writes manifests for Kubernetes in both ways to give a pod its CPUs, and names the study's way.

Whole CPUs: requests equal to limits, both whole numbers, under the kubelet's static CPU manager. Such a pod has CPUs of
its own and no CFS quota. Everything else is a CFS quota on all CPUs of the node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from tuner.deploy.best import Best
from tuner.deploy.best_file import format_best
from tuner.deploy.conditions import HostConditions, host_conditions
from tuner.deploy.export.docker import IN_CONTAINERS
from tuner.deploy.export.exporter import APPLICATION, Exporter, application_environment, comments, has_file
from tuner.deploy.quoting import comment_lines, slug

ASSUMED_MEMORY = "1Gi"
"""Memory of a pod with whole CPUs where the study states none: without a limit, Kubernetes reserves no CPUs."""
WHOLE = "Whole CPUs, under the kubelet option cpuManagerPolicy: static; no quota, and no other pod on these CPUs"
QUOTA = "A CFS quota on all CPUs of the node"


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns kubernetes-whole-cpus.yaml and kubernetes-quota.yaml."""
    host = host_conditions(best)
    whole = {"cpu": str(host.whole_cpus), "memory": str(host.memory_bytes or ASSUMED_MEMORY)}
    # Each pod has the CPUs of one replica to itself, so that there is nothing left to split.
    alone = replace(best, replicas=1, affinity="shared") if host.is_split else best
    notes = ["Each pod has CPUs of its own, so its best.yaml speaks of one replica"] if host.is_split else []
    if host.memory_bytes is None:
        notes.append(f"The study stated no memory limit: {ASSUMED_MEMORY} is a guess, and one is needed here")
    texts = {
        "kubernetes-whole-cpus.yaml": (WHOLE, notes, _objects(best, alone, {"requests": whole, "limits": whole})),
        "kubernetes-quota.yaml": (QUOTA, [], _objects(best, best, _quota_resources(host))),
    }
    return {
        name: "\n".join(
            [
                *comments(best, unsupported),
                *comment_lines([f"{way}. {emulated(host, is_whole=way == WHOLE)}", *more, *APPLICATION]),
                yaml.safe_dump_all(objects, sort_keys=False),
            ]
        )
        for name, (way, more, objects) in texts.items()
    }


def emulated(host: HostConditions, *, is_whole: bool) -> str:
    """Returns which of the two ways the study was like."""
    if host.quota is not None:
        return "The study did not emulate this, but a quota." if is_whole else "This is what the study emulated."
    cpus = "CPUs of its own" if host.cpuset is not None else "a host without a quota"
    return f"The study emulated this: {cpus}." if is_whole else f"The study did not emulate this, but {cpus}."


def _quota_resources(host: HostConditions) -> dict[str, dict[str, str]]:
    """Returns requests and limits that never make CPUs exclusive, whatever policy the kubelet has."""
    mine = host.quota if host.quota is not None else host.whole_cpus
    milli = max(1, math.floor(1000 * mine))
    limits = {"cpu": f"{milli}m"}
    # A request below the limit keeps a pod of whole CPUs from being Guaranteed, and so from having no quota.
    requests = {"cpu": f"{max(1, milli - 1)}m"}
    if host.memory_bytes is not None:
        limits["memory"] = requests["memory"] = str(host.memory_bytes)
    return {"requests": requests, "limits": limits}


def _objects(best: Best, mounted: Best, resources: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    name = slug(best.study)
    labels = {"app": name}
    variables: list[dict[str, Any]] = [
        {"name": key, "value": value.replace("$(", "$$(")}
        for key, value in application_environment(best, "/models").items()
    ]
    mounts: list[dict[str, Any]] = [{"name": "best", "mountPath": "/etc/tuner", "readOnly": True}]
    volumes: list[dict[str, Any]] = [{"name": "best", "configMap": {"name": name}}]
    if mounted.affinity == "split":
        index = "metadata.labels['apps.kubernetes.io/pod-index']"
        variables.append({"name": "REPLICA", "valueFrom": {"fieldRef": {"fieldPath": index}}})
    if has_file(best):
        mounts.append({"name": "models", "mountPath": "/models", "readOnly": True})
        volumes.append({"name": "models", "persistentVolumeClaim": {"claimName": "your-models"}})
    container = {
        "name": "application",
        "image": "your-application:latest",
        "env": variables,
        "resources": {kind: dict(amounts) for kind, amounts in resources.items()},
        "volumeMounts": mounts,
    }
    template = {"metadata": {"labels": dict(labels)}, "spec": {"containers": [container], "volumes": volumes}}
    # Only the pods of a StatefulSet have a number, by which a replica knows its part of the CPUs.
    is_numbered = mounted.affinity == "split"
    workload = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet" if is_numbered else "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": best.replicas,
            **({"serviceName": name} if is_numbered else {}),
            "selector": {"matchLabels": dict(labels)},
            "template": template,
        },
    }
    config = {"best.yaml": format_best(mounted)}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": config},
        workload,
    ]


EXPORTER = Exporter(
    name="kubernetes",
    summary="manifests: whole CPUs under the static CPU manager, and a CFS quota",
    build=build,
    cannot={**IN_CONTAINERS, "deployment.cpuset": "the kubelet chooses the CPUs; their number is kept"},
)
